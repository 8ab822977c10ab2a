/* SPDX-License-Identifier: Apache-2.0
 * load.c - files of credentials and ACLs as flags name them. */
#include "common/auth/acl.h"
#include "common/auth/credentials.h"
#include "common/auth/file.h"

#include <string.h>

int auth_credentials_load(const char *flag_value, struct auth_credentials **out, bool *is_exposed, struct err *err)
{
    struct auth_file f;
    int r = auth_file_read(flag_value, &f, err);
    if (r < 0)
        return r;
    *is_exposed = f.is_exposed;
    r = auth_credentials_parse(f.text, f.len, out, err);
    auth_file_deinit(&f);
    return r < 0 ? err_wrap(err, r, "%.200s", flag_value) : 0;
}

int auth_credential_load(const char *flag_value, struct auth_credential *out, bool *is_exposed, struct err *err)
{
    struct auth_file f;
    int r = auth_file_read(flag_value, &f, err);
    if (r < 0)
        return r;
    *is_exposed = f.is_exposed;
    r = auth_credential_parse(f.text, f.len, out, err);
    auth_file_deinit(&f);
    return r < 0 ? err_wrap(err, r, "%.200s", flag_value) : 0;
}

int auth_acls_load(const char *flag_value, struct auth_acls **out, struct err *err)
{
    if (flag_value[strspn(flag_value, " \t\r\n")] == '{')
        return auth_acls_parse(flag_value, strlen(flag_value), out, err);
    struct auth_file f;
    int r = auth_file_read(flag_value, &f, err);
    if (r < 0)
        return r;
    r = auth_acls_parse(f.text, f.len, out, err);
    auth_file_deinit(&f);
    return r < 0 ? err_wrap(err, r, "%.200s", flag_value) : 0;
}
