/* The parts of `hokku bench` that stand in files of their own. argv[0] is the part's name. */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

/* Exit codes of the program. */
int bench_tokenize(int argc, char **argv);
int bench_serve(int argc, char **argv);

#endif
