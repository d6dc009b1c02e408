#include "base/sha256.h"

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

std::string digest_of(const std::string& text) {
  return sha256_of(std::as_bytes(std::span(text.data(), text.size())));
}

}  // namespace

TEST_CASE("SHA-256 gives the digests of FIPS 180-4", "[base][sha256]") {
  CHECK(digest_of("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(digest_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(digest_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(digest_of(std::string(1000000, 'a')) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("the digest does not depend on the pieces", "[base][sha256]") {
  Sha256 digest;
  for (const std::string piece : {"a", "", "bc"})
    digest.update(std::as_bytes(std::span(piece.data(), piece.size())));
  CHECK(digest.finish() == digest_of("abc"));
}

TEST_CASE("the digest of a file streams it; one that cannot be read is named", "[base][sha256]") {
  const std::string path =
      (std::filesystem::temp_directory_path() / "sparsify_sha256_test").string();
  std::ofstream(path) << std::string(3 << 20, 'x');
  CHECK(sha256_of_file(path) == digest_of(std::string(3 << 20, 'x')));
  std::filesystem::remove(path);
  CHECK_THROWS_WITH(sha256_of_file(path), Catch::Contains("No such file") && Catch::Contains(path));
  CHECK_THROWS_AS(sha256_of_file("/"), ResourceError);
}
