/* SPDX-License-Identifier: Apache-2.0
 * record.h - the files that a supervisor keeps: written whole, by rename. */
#pragma once
