/* What convert and synth share: a job that draws its progress, prints its notes and listens to Ctrl-C. */
#ifndef CLI_JOB_H
#define CLI_JOB_H

#include "base/observer.h"
#include "cli/cli.h"

/* label stands before the percentage. From here on signals that would end the program ask the job to stop, so
 * that it removes what it has begun. */
struct observer cli_job(const char *label);

/* Signals do again what they did before cli_job. */
void cli_job_release(void);

/* The exit code for a job's outcome; prints the failure, or the size of the file that it wrote. An
 * interrupted job is 130. */
int cli_job_end(enum hokku_code rc, const struct hokku_error *err, const char *out);

#endif
