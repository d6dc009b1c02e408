#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <functional>

namespace sparsify {

/// Runs `action` in a child process, for what changes or ends the process; returns its wait status.
/// The action's result is the exit code, and an exception gives 99.
inline int status_in_child(const std::function<int()>& action) {
  const pid_t child = ::fork();
  if (child == 0) {
    int code = 99;
    try {
      code = action();
    } catch (...) {
    }
    ::_exit(code);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

inline int exit_code_in_child(const std::function<int()>& action) {
  const int status = status_in_child(action);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace sparsify
