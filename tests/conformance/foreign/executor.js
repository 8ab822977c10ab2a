// SPDX-License-Identifier: Apache-2.0
// A custom executor by the package mesos-framework: its task greets the scheduler, waits for an answer and has finished. It
// ends when it is told to shut down.
"use strict";

const { randomBytes } = require("crypto");
const { Executor } = require("mesos-framework");

function fail(error) {
    console.error("error:", error.message || error, error.stack || "");
    process.exit(1);
}

let task = null;
function update(state) {
    executor.update({ task_id: task.task_id, state, source: "SOURCE_EXECUTOR", uuid: randomBytes(16).toString("base64"),
                      executor_id: executor.executorId, timestamp: Date.now() / 1000 });
}

// The package wants a handler for each event; those of this list have one argument, which is the event's body.
const executor = new Executor({ handlers: {
    SUBSCRIBED: function (subscribed) { console.log("subscribed to", subscribed.agent_info.id.value); },
    LAUNCH: function (launch) {
        task = launch.task;
        update("TASK_RUNNING");
        executor.once("sent_update", () => executor.message("from the executor"));
    },
    MESSAGE: function (message) {
        if (Buffer.from(message.data, "base64").toString() !== "to the executor")
            fail("another message");
        update("TASK_FINISHED");
    },
    ACKNOWLEDGED: function (acknowledged) { console.log("acknowledged", acknowledged.uuid); },
    KILL: function (kill) { fail("a kill"); },
    ERROR: function (error) { fail(error); },
    SHUTDOWN: function (shutdown) { process.exit(0); },
} });

executor.on("error", fail);
executor.subscribe();
