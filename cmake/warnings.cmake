# SPDX-License-Identifier: Apache-2.0
# Warnings are errors, with gcc and with clang; not where a user builds (`./up`), whose newer compiler may warn of something new.
option(MUSTER_WARNINGS_AS_ERRORS "Warnings stop the build" ON)
add_library(muster_warnings INTERFACE)
target_compile_options(muster_warnings INTERFACE
  -Wall -Wextra $<$<BOOL:${MUSTER_WARNINGS_AS_ERRORS}>:-Werror> -Wshadow -Wstrict-prototypes -Wmissing-prototypes
  -Wpointer-arith -Wwrite-strings -Wvla -Wno-missing-field-initializers)
target_compile_definitions(muster_warnings INTERFACE _GNU_SOURCE MUSTER_VERSION="${PROJECT_VERSION}")
