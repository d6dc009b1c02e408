#include "base/child_process.h"

#include <fmt/core.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/interrupt.h"

namespace sparsify {
namespace {

using Clock = std::chrono::steady_clock;

class SpawnActions {
 public:
  SpawnActions() { ::posix_spawn_file_actions_init(&actions_); }
  ~SpawnActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;

  posix_spawn_file_actions_t* get() { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& arguments) : name_(arguments.at(0)) {
  int ends[2] = {-1, -1};
  // A socket, not pipes: writing to a program that has ended must be an error here, not a signal.
  int fault = ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0 ? 0 : errno;
  if (fault == 0) {
    SpawnActions actions;
    ::posix_spawn_file_actions_adddup2(actions.get(), ends[1], STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(actions.get(), ends[1], STDOUT_FILENO);
    ::posix_spawn_file_actions_addopen(actions.get(), STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    std::vector<char*> words;
    for (const std::string& argument : arguments) words.push_back(const_cast<char*>(argument.c_str()));
    words.push_back(nullptr);
    fault = ::posix_spawnp(&process_, words[0], actions.get(), nullptr, words.data(), environ);
    ::close(ends[1]);
    socket_ = ends[0];
  }
  if (fault == 0) return;
  if (socket_ >= 0) ::close(socket_);
  throw ResourceError{{.what = fmt::format("\"{}\" cannot be started: {}", name_, std::strerror(fault)),
                       .where = name_,
                       .fix = "install it, or name another program"}};
}

ChildProcess::~ChildProcess() {
  ::close(socket_);
  ::kill(process_, SIGKILL);
  int status = 0;
  while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
  }
}

template <class Move>
void ChildProcess::move(size_t size, short event, std::chrono::seconds limit, Move&& some) {
  constexpr int kSlice_ms = 200;
  const auto end = Clock::now() + limit;
  for (size_t done = 0; done < size;) {
    check_interrupt();
    if (Clock::now() > end) {
      throw ExhaustedError{{.what = fmt::format("\"{}\" has not answered for {} s", name_, limit.count()), .where = name_, .fix = "try a smaller model, or go without it"}};
    }
    pollfd waiting{.fd = socket_, .events = event, .revents = 0};
    if (::poll(&waiting, 1, kSlice_ms) <= 0) continue;
    const ssize_t moved = some(done);
    if (moved < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (moved <= 0) {
      check_interrupt();
      throw ResourceError{{.what = fmt::format("\"{}\" has ended unexpectedly", name_), .where = name_, .fix = "run it by hand to see why"}};
    }
    done += static_cast<size_t>(moved);
  }
}

void ChildProcess::write(std::span<const std::byte> bytes, std::chrono::seconds limit) {
  move(bytes.size(), POLLOUT, limit,
       [&](size_t done) { return ::send(socket_, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL | MSG_DONTWAIT); });
}

void ChildProcess::read(std::span<std::byte> bytes, std::chrono::seconds limit) {
  move(bytes.size(), POLLIN, limit, [&](size_t done) { return ::recv(socket_, bytes.data() + done, bytes.size() - done, MSG_DONTWAIT); });
}

}  // namespace sparsify
