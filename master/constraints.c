/* SPDX-License-Identifier: Apache-2.0 */
#include "master/constraints.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/pattern.h"

#define PATTERN_STEPS_MAX 100 /* facts: mesos 1.18 */

typedef Mesos__V1__Scheduler__AttributeConstraint Wire; /* long names of generated code, short ones here */
typedef Mesos__V1__Scheduler__AttributeConstraint__Selector Selector;
typedef Mesos__V1__Scheduler__AttributeConstraint__Predicate Predicate;
typedef Mesos__V1__Scheduler__OfferConstraints__RoleConstraints Role;

enum subject { SUBJECT_ATTRIBUTE, SUBJECT_HOSTNAME, SUBJECT_REGION, SUBJECT_ZONE };
enum test { TEST_EXISTS, TEST_EQUALS, TEST_MATCHES };

struct condition {
    enum subject subject;
    char *name; /* of the attribute */
    enum test test;
    bool is_negated;
    char *value;
    struct pattern *pattern;
    bool ends_group;
};

struct master_constraints {
    size_t count;
    struct condition list[];
};

/* -- reading ---------------------------------------------------------------------------------------------------- */

static int read_selector(const Selector *s, struct condition *c, struct err *err)
{
    if (s->has_pseudoattribute_type == (s->attribute_name != NULL))
        return err_set(err, -EINVAL, "a selector needs either 'attribute_name' or 'pseudoattribute_type'");
    if (s->attribute_name != NULL) {
        c->subject = SUBJECT_ATTRIBUTE;
        c->name = xstrdup(s->attribute_name);
        return 0;
    }
    switch (s->pseudoattribute_type) {
    case MESOS__V1__SCHEDULER__ATTRIBUTE_CONSTRAINT__SELECTOR__PSEUDOATTRIBUTE_TYPE__HOSTNAME:
        c->subject = SUBJECT_HOSTNAME;
        return 0;
    case MESOS__V1__SCHEDULER__ATTRIBUTE_CONSTRAINT__SELECTOR__PSEUDOATTRIBUTE_TYPE__REGION:
        c->subject = SUBJECT_REGION;
        return 0;
    case MESOS__V1__SCHEDULER__ATTRIBUTE_CONSTRAINT__SELECTOR__PSEUDOATTRIBUTE_TYPE__ZONE:
        c->subject = SUBJECT_ZONE;
        return 0;
    default:
        return err_set(err, -EINVAL, "an unknown 'pseudoattribute_type'");
    }
}

static int read_pattern(struct condition *c, const char *regex, bool is_negated, struct err *err)
{
    c->test = TEST_MATCHES;
    c->is_negated = is_negated;
    c->pattern = pattern_new(regex, PATTERN_STEPS_MAX, err);
    return c->pattern != NULL ? 0 : -EINVAL;
}

static int read_predicate(const Predicate *p, struct condition *c, struct err *err)
{
    size_t n = (p->exists != NULL) + (p->not_exists != NULL) + (p->text_equals != NULL) + (p->text_not_equals != NULL) +
               (p->text_matches != NULL) + (p->text_not_matches != NULL);
    if (n != 1)
        return err_set(err, -EINVAL, "a predicate needs exactly one test that this master knows");
    if (p->text_matches != NULL)
        return read_pattern(c, p->text_matches->regex, false, err);
    if (p->text_not_matches != NULL)
        return read_pattern(c, p->text_not_matches->regex, true, err);
    c->is_negated = p->not_exists != NULL || p->text_not_equals != NULL;
    c->test = p->exists != NULL || p->not_exists != NULL ? TEST_EXISTS : TEST_EQUALS;
    if (c->test == TEST_EQUALS)
        c->value = xstrdup(p->text_equals != NULL ? p->text_equals->value : p->text_not_equals->value);
    return 0;
}

static size_t count_of(const Role *role)
{
    size_t count = 0;
    for (size_t i = 0; role != NULL && i < role->n_groups; i++)
        count += role->groups[i]->n_attribute_constraints;
    return count;
}

/* NULL with err set when the role's constraints are wrong. */
static struct master_constraints *read_role(const Role *role, struct err *err)
{
    size_t count = count_of(role);
    struct master_constraints *c = xcalloc(1, sizeof(*c) + count * sizeof(c->list[0]));
    for (size_t i = 0; i < role->n_groups; i++) {
        for (size_t j = 0; j < role->groups[i]->n_attribute_constraints; j++) {
            const Wire *wire = role->groups[i]->attribute_constraints[j];
            struct condition *into = &c->list[c->count++];
            into->ends_group = j + 1 == role->groups[i]->n_attribute_constraints;
            if (read_selector(wire->selector, into, err) < 0 || read_predicate(wire->predicate, into, err) < 0)
                return master_constraints_free(c);
        }
    }
    return c;
}

int master_constraints_check(const Mesos__V1__Scheduler__OfferConstraints *all, char *const *roles, size_t role_count,
                             struct err *err)
{
    size_t total = 0;
    for (size_t i = 0; all != NULL && i < all->n_role_constraints; i++) {
        const char *name = all->role_constraints[i]->key != NULL ? all->role_constraints[i]->key : "";
        const Role *role = all->role_constraints[i]->value;
        size_t j = 0;
        while (j < role_count && strcmp(roles[j], name) != 0)
            j++;
        if (j == role_count)
            return err_set(err, -EINVAL, "Offer constraints specify role '%.300s' not contained in the set of roles", name);
        if (role == NULL || role->n_groups == 0)
            return err_set(err, -EINVAL, "Offer constraints for role '%.300s': 'groups' must not be empty", name);
        for (size_t k = 0; k < role->n_groups; k++)
            if (role->groups[k]->n_attribute_constraints == 0)
                return err_set(err, -EINVAL, "Offer constraints for role '%.300s': a group must not be empty", name);
        total += count_of(role);
        if (total > MASTER_CONSTRAINTS_MAX)
            return err_set(err, -EINVAL, "Offer constraints: more than %d of them", MASTER_CONSTRAINTS_MAX);
        struct master_constraints *c = read_role(role, err);
        if (c == NULL)
            return err_wrap(err, -EINVAL, "Offer constraints for role '%.100s'", name);
        (void)master_constraints_free(c); /* made again, when it is durable that the framework wants them */
    }
    return 0;
}

struct master_constraints *master_constraints_new(const Mesos__V1__Scheduler__OfferConstraints *all, const char *role)
{
    struct err err;
    for (size_t i = 0; all != NULL && i < all->n_role_constraints; i++) {
        const char *name = all->role_constraints[i]->key;
        if (name == NULL || strcmp(name, role) != 0 || all->role_constraints[i]->value == NULL)
            continue;
        struct master_constraints *c = read_role(all->role_constraints[i]->value, &err);
        CHECK(c != NULL); /* they were checked */
        return c;
    }
    return NULL;
}

struct master_constraints *master_constraints_free(struct master_constraints *c)
{
    for (size_t i = 0; c != NULL && i < c->count; i++) {
        free(c->list[i].name);
        free(c->list[i].value);
        (void)pattern_free(c->list[i].pattern);
    }
    free(c);
    return NULL;
}

/* -- asking ----------------------------------------------------------------------------------------------------- */

/* Of text; tests of text hold for what is none. */
static bool text_holds(const struct condition *c, const char *text)
{
    if (c->test == TEST_EXISTS)
        return !c->is_negated;
    bool fits = c->test == TEST_EQUALS ? strcmp(c->value, text) == 0 : pattern_matches(c->pattern, text);
    return fits != c->is_negated;
}

/* Any attribute of the name may fit; for the opposite, none may be unfit. */
static bool attribute_holds(const struct condition *c, const Mesos__V1__AgentInfo *agent)
{
    bool is_there = false, any = false, all = true;
    for (size_t i = 0; i < agent->n_attributes; i++) {
        const Mesos__V1__Attribute *a = agent->attributes[i];
        if (strcmp(a->name, c->name) != 0)
            continue;
        bool holds = c->test == TEST_EXISTS ? !c->is_negated : a->text == NULL || text_holds(c, a->text->value);
        is_there = true;
        any |= holds;
        all &= holds;
    }
    return is_there ? (c->is_negated ? all : any) : c->is_negated;
}

static bool holds(const struct condition *c, const Mesos__V1__AgentInfo *agent)
{
    const char *text = NULL;
    const Mesos__V1__DomainInfo__FaultDomain *domain = agent->domain != NULL ? agent->domain->fault_domain : NULL;
    if (c->subject == SUBJECT_ATTRIBUTE)
        return attribute_holds(c, agent);
    if (c->subject == SUBJECT_HOSTNAME)
        text = agent->hostname;
    else if (domain != NULL)
        text = c->subject == SUBJECT_REGION ? domain->region->name : domain->zone->name;
    return text != NULL ? text_holds(c, text) : c->is_negated;
}

bool master_constraints_allow(const struct master_constraints *c, const Mesos__V1__AgentInfo *agent)
{
    bool group = true;
    for (size_t i = 0; c != NULL && i < c->count; i++) {
        group = group && holds(&c->list[i], agent);
        if (!c->list[i].ends_group)
            continue;
        if (group)
            return true;
        group = true;
    }
    return c == NULL;
}
