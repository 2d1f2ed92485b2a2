#include "CRuntime.h"
#include <signal.h>
#include <string.h>

static volatile sig_atomic_t noted;
static const int signals[] = {SIGINT, SIGTERM};

static void note(int number) {
  noted = number;
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) signal(signals[i], SIG_DFL);
}

void millrace_interrupt_install(void) {
  noted = 0;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = note;
  action.sa_flags = SA_RESTART;  // a write that is under way goes on
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
    struct sigaction old;
    // Under nohup and the like a signal that is ignored stays ignored.
    if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler == SIG_IGN) continue;
    sigaction(signals[i], &action, NULL);
  }
  // A parent may have blocked them: runners of tests and jobs do, for the threads they start processes from.
  sigset_t both;
  sigemptyset(&both);
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) sigaddset(&both, signals[i]);
  pthread_sigmask(SIG_UNBLOCK, &both, NULL);
}

int millrace_interrupt_signal(void) { return noted; }

void millrace_interrupt_remove(void) {
  noted = 0;
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
    struct sigaction old;
    if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler == note) signal(signals[i], SIG_DFL);
  }
}
