#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace sparsify {

/// A program started beside this one, without a shell, and spoken to over its standard input and output. Its standard error
/// goes nowhere. It is ended with this object.
class ChildProcess {
 public:
  /// arguments[0] is looked for in PATH.
  ///   throws ResourceError when it cannot be started
  explicit ChildProcess(const std::vector<std::string>& arguments);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  /// Both move all of the bytes.
  ///   limit   for this call; an interrupt of our own is noticed within a fifth of a second
  ///   throws  ResourceError when the program has ended, ExhaustedError when the time is up
  void write(std::span<const std::byte> bytes, std::chrono::seconds limit);
  void read(std::span<std::byte> bytes, std::chrono::seconds limit);

 private:
  template <class Move>
  void move(size_t size, short event, std::chrono::seconds limit, Move&& some);

  std::string name_;
  pid_t process_ = -1;
  int socket_ = -1;
};

}  // namespace sparsify
