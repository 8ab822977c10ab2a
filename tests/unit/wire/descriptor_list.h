/* SPDX-License-Identifier: Apache-2.0
 * descriptor_list.h - every message and enum of proto/, ended by NULL. Generated at build time. */
#pragma once

#include <protobuf-c/protobuf-c.h>

extern const ProtobufCMessageDescriptor *const descriptor_list_messages[];
extern const ProtobufCEnumDescriptor *const descriptor_list_enums[];
