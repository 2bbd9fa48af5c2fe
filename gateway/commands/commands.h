/* commands.h - one function a command. Each reads its own options (argv[0] is the command's name), prints its own
 * --help, and returns the exit status: 0 done, 1 the checked thing failed, 2 it was called wrongly. */
#ifndef TOLLGATE_GATEWAY_COMMANDS_H
#define TOLLGATE_GATEWAY_COMMANDS_H

int command_init(int argc, char **argv);
int command_serve(int argc, char **argv);
int command_check(int argc, char **argv);
int command_explain(int argc, char **argv);
int command_policy(int argc, char **argv);
int command_costs(int argc, char **argv);
int command_audit(int argc, char **argv);
int command_keys(int argc, char **argv);
int command_budgets(int argc, char **argv);
int command_connect(int argc, char **argv);

#endif
