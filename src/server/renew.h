/* What a running server reads again when SIGHUP asks for it: the certificate and its key, the API keys. What
 * cannot be used is told in the log, and what was there stays in use. */
#ifndef SERVER_RENEW_H
#define SERVER_RENEW_H

struct server;

/* SIGHUP: the certificate and the file of keys are read again. What is faulty is told and changes nothing. */
void renew_files(struct server *s);

#endif
