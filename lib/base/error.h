#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace sparsify {

/// What a user reads when something goes wrong. All three are always given.
struct Problem {
  std::string what;   ///< the broken rule with the actual value: `sparsity is 1.4`
  std::string where;  ///< file:line and key, node or tensor name, or path
  std::string fix;    ///< the next action: `use a value in [0, 1)`
};

/// Base of all errors. The class says who must act and with it the exit code; only `main` catches.
class Error : public std::runtime_error {
 public:
  Error(Problem problem, int exit_code);

  const Problem& problem() const { return problem_; }
  int exit_code() const { return exit_code_; }

  /// Added while unwinding out of a loop: `while pruning "layer1.conv1"`. Outermost last.
  void add_context(std::string_view context);

  /// Replaces an empty or vaguer place by one that only the caller knows, such as a file and line.
  void set_where(std::string where);

  const char* what() const noexcept override { return text_.c_str(); }

 private:
  void render();

  Problem problem_;
  std::string context_;
  std::string text_;
  int exit_code_;
};

/// Exit codes of the program (the contract of docs/design.md).
enum ExitCode {
  kDone = 0,
  kInternal = 1,
  kUsage = 2,
  kUnusable = 3,
  kGateMissed = 4,
  kExhausted = 5,
  kInterrupted = 130
};

/// The user edits a flag or the recipe.
struct ConfigError : Error {
  explicit ConfigError(Problem problem) : Error(std::move(problem), kUsage) {}
};

/// A file, model, data set or device is unusable.
struct ResourceError : Error {
  explicit ResourceError(Problem problem) : Error(std::move(problem), kUnusable) {}
};

/// Two shapes that must agree do not.
struct ShapeError : ResourceError {
  using ResourceError::ResourceError;
};

/// The run worked, but a gate or a verification did not hold; no model was written.
struct GateError : Error {
  explicit GateError(Problem problem) : Error(std::move(problem), kGateMissed) {}
};

/// Out of memory, disk space or time.
struct ExhaustedError : Error {
  explicit ExhaustedError(Problem problem) : Error(std::move(problem), kExhausted) {}
};

/// SIGINT or SIGTERM arrived.
struct InterruptedError : Error {
  explicit InterruptedError(Problem problem) : Error(std::move(problem), kInterrupted) {}
};

/// Our own bug, on in every build type; user input never reaches it. Throws std::logic_error.
void invariant(bool holds, const char* claim, const char* file = __builtin_FILE(),
               int line = __builtin_LINE());

}  // namespace sparsify
