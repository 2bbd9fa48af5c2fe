/* pages.h - what the gateway answers by itself: its health, its models. */
#ifndef TOLLGATE_GATEWAY_PAGES_H
#define TOLLGATE_GATEWAY_PAGES_H

#include "gateway/request/request.h"

void pages_reply(struct request *r);

#endif
