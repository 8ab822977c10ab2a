# SPDX-License-Identifier: Apache-2.0
# Warnings are errors, with gcc and with clang.
add_library(muster_warnings INTERFACE)
target_compile_options(muster_warnings INTERFACE
  -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings -Wvla
  -Wno-missing-field-initializers)
target_compile_definitions(muster_warnings INTERFACE _GNU_SOURCE MUSTER_VERSION="${PROJECT_VERSION}")
