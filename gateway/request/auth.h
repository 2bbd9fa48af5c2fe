/* auth.h - whose call is it? The caller's key, wherever its SDK puts it (wire/translation section 11). */
#ifndef TOLLGATE_GATEWAY_AUTH_H
#define TOLLGATE_GATEWAY_AUTH_H

#include "gateway/request/request.h"

/* Fills r->key and r->has_key. With "auth": "none" nothing is asked. False: r->fault is a 401. */
bool auth_check_key(struct request *r);

#endif
