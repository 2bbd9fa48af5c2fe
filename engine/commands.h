/* commands.h - the commands of tollgate-engine. argv[0] is the command's name, the options follow.
 *
 * Each returns the exit status: 0 ok, 1 the thing asked for failed (said on stderr), 2 usage. */
#ifndef TOLLGATE_ENGINE_COMMANDS_H
#define TOLLGATE_ENGINE_COMMANDS_H

int command_serve(int argc, char **argv);      /* serve.c: OpenAI's API on a socket */
int command_run(int argc, char **argv);        /* run.c: one prompt, answer to stdout */
int command_logits(int argc, char **argv);     /* logits.c */
int command_bench(int argc, char **argv);      /* bench.c */
int command_inspect(int argc, char **argv);    /* inspect.c */

#endif
