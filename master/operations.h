/* SPDX-License-Identifier: Apache-2.0
 * operations.h - offer operations other than launches: from a valid one on its way to its agent to the acknowledgement of
 * its end (facts: mesos 1.9, 1.10). Whether one is valid is validate_operations.c, what it converts common/resource.
 * Internal to master/.
 *
 * What an agent reports is the truth: a conversion that it does not know of has not happened. */
#pragma once

#include "common/base/err.h"
#include "master/state.h"

/* What a valid operation takes and gives, and its normal form: resources complete, in post-refinement form. */
struct master_conversion {
    struct resources *consumed, *converted;
};
void master_conversion_init(struct master_conversion *c);
void master_conversion_deinit(struct master_conversion *c);
/* The operation with its resources written out from the conversion. */
Mesos__V1__Offer__Operation *master_conversion_wire(const struct master_conversion *c,
                                                    const Mesos__V1__Offer__Operation *op, struct arena *arena);

/* An operation of an ACCEPT: checks it, converts `remaining` (allocated to c's role) and the agent's total, and sends it to
 * the agent. NULL, or a sentence why not in the step's arena; then nothing has changed. */
const char *master_operation_accept(struct master *m, struct master_client *c, struct master_agent *a,
                                    struct resources *remaining, const Mesos__V1__Offer__Operation *op);
/* What depends on the agent's state: NULL, or why it cannot be now. */
const char *master_operation_check(struct master_agent *a, const Mesos__V1__Offer__Operation *op,
                                   const struct master_conversion *conversion, struct arena *arena);
/* May this principal (NULL: nobody in particular) do it? By --acls; everything without them. */
bool master_operation_is_allowed(const struct master *m, const char *principal, const struct master_conversion *conversion,
                                 const Mesos__V1__Offer__Operation *op);
/* One that is checked and whose conversion is in the agent's free resources or its offers: from here on it is on its way.
 * f NULL: of an operator, who is answered at its end. conversion is not allocated for an operator's, else as `op` is. */
void master_operation_start(struct master *m, struct master_framework *f, struct master_agent *a,
                            const struct master_conversion *conversion, const Mesos__V1__Offer__Operation *op,
                            request_id request);

void master_operations_on_status(struct master *m, struct master_agent *a,
                                 const Muster__Link__OperationStatusUpdate *update);
void master_operations_on_acknowledge(struct master *m, struct master_framework *f,
                                      const Mesos__V1__Scheduler__Call__AcknowledgeOperationStatus *acknowledge);
void master_on_reconcile_operations(struct master *m, struct master_framework *f,
                                    const Mesos__V1__Scheduler__Call__ReconcileOperations *reconcile);

/* OPERATION_ERROR for one that was refused; without an id it is only logged. */
void master_operation_refuse(struct master *m, struct master_framework *f, const Mesos__V1__Offer__Operation *op,
                             const char *why);

/* The agent's report: operations that are in it and not here are taken in, the others were dropped on the way. */
void master_operations_come_back(struct master *m, struct master_agent *a, const Muster__Link__Reregister *report);
/* Operators are told that the end of their operations is not known. */
void master_operations_on_disconnected(struct master *m, struct master_agent *a);
void master_operations_end_of_agent(struct master *m, struct master_agent *a, Mesos__V1__OperationState state,
                                    const char *why);
void master_operations_end_of_framework(struct master *m, struct master_framework *f);
void master_operations_forget(struct master *m, struct master_agent *a); /* for the end of the agent's object */

/* For people: the operation in wire form, in the arena. */
Mesos__V1__Operation *master_operation_wire(const struct master_operation *o, struct arena *arena);
