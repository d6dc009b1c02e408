#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace sparsify {

/// Incremental SHA-256.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(std::span<const std::byte> bytes);
  /// 64 lower-case hex digits; the object may not be used afterwards.
  std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Streams the file; throws ResourceError when it cannot be read.
std::string sha256_of_file(const std::string& path);
std::string sha256_of(std::span<const std::byte> bytes);

}  // namespace sparsify
