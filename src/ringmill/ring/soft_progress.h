/* How much an op moves, and how it goes on after a part of it: between soft_try and its bytes. */
#ifndef RM_SOFT_PROGRESS_H
#define RM_SOFT_PROGRESS_H

#include "soft.h"

/* Is `res` a part only, where Linux would go on? */
bool soft_goes_on(const struct soft_req *r, int res);
/* Leave the `res` bytes out of r->sqe and remember them in r->done. */
int soft_advance(struct soft_req *r, int res);

#endif
