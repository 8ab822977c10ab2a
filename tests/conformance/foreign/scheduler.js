// SPDX-License-Identifier: Apache-2.0
// A framework by the package mesos-framework, written as its own examples are: it runs one task to its end.
//   node scheduler.js HOST PORT command            a command task, launched by the package's own handler of offers
//   node scheduler.js HOST PORT executor FILE      a task of the custom executor FILE
// Prints a line of JSON for each thing it sees. Ends with 0 when the task finished and the framework was torn down.
"use strict";

const { Scheduler, Mesos, helpers } = require("mesos-framework");
const mesos = Mesos.getMesos();

const [host, port, kind, executorFile] = process.argv.slice(2);

function tell(what, detail) {
    console.log(JSON.stringify({ what, ...detail }));
}

let isEnding = false; // the end of the stream, which the package calls an error, is then what is wanted
function fail(error) {
    if (isEnding)
        return;
    tell("error", { message: String(error.message || error), stack: error.stack });
    process.exit(1);
}

function scalar(name, value) {
    return new mesos.Resource(name, mesos.Value.Type.SCALAR, new mesos.Value.Scalar(value));
}

function command(text) {
    return new mesos.CommandInfo(null, null, true, text, null, null);
}

// A task of the custom executor in the first offer; later offers are declined.
let isLaunched = false;
function launchExecutor(offers) {
    for (const offer of offers.offers) {
        if (isLaunched) {
            this.decline([offer.id], null);
            continue;
        }
        isLaunched = true;
        const executor = new mesos.ExecutorInfo(
            new mesos.ExecutorID("foreign"), null, command(`exec '${process.execPath}' '${executorFile}'`), null,
            [scalar("cpus", 0.1), scalar("mem", 128)], "foreign executor");
        const task = new mesos.TaskInfo("foreign", new mesos.TaskID("foreign-task"), offer.agent_id,
                                        [scalar("cpus", 0.1), scalar("mem", 32)], executor);
        const operation = new mesos.Offer.Operation(mesos.Offer.Operation.Type.LAUNCH, new mesos.Offer.Operation.Launch([task]));
        this.accept([offer.id], helpers.stringifyEnumsRecursive(operation), null);
    }
}

const options = { masterUrl: host, port, frameworkName: "foreign " + kind, masterConnectionTimeout: 60, frameworkFailoverTimeout: 1,
                  logging: { level: "error" }, handlers: {} };
if (kind === "command")
    options.tasks = { echo: { instances: 1, priority: 1, commandInfo: command('test "$MESOS_SANDBOX" = "$PWD" && test -n "$HOST"'),
                              resources: { cpus: 0.2, mem: 64, disk: 10, ports: 1 } } };
else
    options.handlers.OFFERS = launchExecutor;

const scheduler = new Scheduler(options);
scheduler.on("error", fail);
scheduler.on("ready", () => scheduler.subscribe());
scheduler.on("subscribed", (info) => tell("subscribed", info));
scheduler.on("message", (message) => {
    tell("message", { data: message.data });
    scheduler.message(message.agentId.value, message.executorId.value, "to the executor");
});
scheduler.on("update", ({ status }) => {
    tell("update", { task: status.task_id.value, state: status.state, source: status.source, message: status.message });
    if (["TASK_FAILED", "TASK_LOST", "TASK_ERROR", "TASK_KILLED"].includes(status.state))
        fail(`the task ended as ${status.state}: ${status.message}`);
    if (status.state === "TASK_FINISHED")
        scheduler.once("sent_acknowledge", () => {
            isEnding = true;
            scheduler.teardown();
        });
});
scheduler.on("sent_teardown", () => {
    tell("torn down");
    process.exit(0);
});
setTimeout(() => fail("the task did not end in time"), 45000).unref();
