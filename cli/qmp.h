/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The form in which programs speak to hemi: QMP's ("QEMU Machine Protocol Specification"), so
 * that tools for QEMU can drive it. JSON objects go in both directions, those from hemi one
 * on a line. This file knows no sockets.
 */
#ifndef CLI_QMP_H
#define CLI_QMP_H

#include "cli/control.h"

#define QMP_MAX		(256u << 10)	/* bytes of one object from a client */
#define QMP_DEPTH	64

/* --- Where one object ends and the next begins ------------------------------------------- */

enum qmp_scanned { QMP_MORE, QMP_OBJECT, QMP_GARBAGE };

struct qmp_scanner {
	GString *text;			/* the object so far */
	unsigned depth;
	char quote;			/* within a string: what ends it */
	bool escaped, skipping;
	const char *why;		/* QMP_GARBAGE: what is wrong */
};

void qmp_scanner_init(struct qmp_scanner *s);
void qmp_scanner_free(struct qmp_scanner *s);
/* Takes bytes until something is complete; how many. After QMP_OBJECT s->text is it, until the
 * next call; after QMP_GARBAGE the rest of the line will be skipped. */
size_t qmp_scan(struct qmp_scanner *s, const char *p, size_t n, enum qmp_scanned *what);

/* --- What an object asks for -------------------------------------------------------------- */

struct qmp_session {
	struct control *control;
	bool negotiated;
};

/* Lines to be sent; to be freed. */
char *qmp_greeting(void);
char *qmp_error(const char *class, const char *desc, JsonNode *id);
/* The answer to a call that is done and finished. */
char *qmp_answer(struct call *c, JsonNode *id);
/* One object: a call to be submitted, or NULL and *line, an answer that is due at once. *id is
 * a reference of the caller's, or NULL. */
struct call *qmp_request(struct qmp_session *s, const char *text, size_t n, JsonNode **id,
			 char **line);

#endif
