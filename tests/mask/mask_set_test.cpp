#include "mask/mask_set.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "base/error.h"
#include "support/catch.h"

using namespace sparsify;
using Catch::Contains;

namespace {

/// A file of one test, gone with it.
class TemporaryFile {
 public:
  TemporaryFile()
      : path_(std::filesystem::temp_directory_path() / ("sparsify-masks-" + std::to_string(::getpid()) + ".safetensors")) {
    std::filesystem::remove(path_);
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }

  std::string path() const { return path_.string(); }
  void write(const std::string& header, const std::string& data) const {
    std::string length(8, '\0');
    for (size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(header.size() >> (8 * i));
    write_all(length + header + data);
  }
  void write_all(const std::string& bytes) const {
    std::ofstream(path_, std::ios::binary) << bytes;
  }

 private:
  std::filesystem::path path_;
};

std::string refusal(const TemporaryFile& file) {
  try {
    read_masks(file.path());
  } catch (const ResourceError& error) {
    CHECK(error.problem().where == file.path());
    CHECK_FALSE(error.problem().fix.empty());
    return error.problem().what;
  }
  return "accepted";
}

const std::string kKeep = R"("__metadata__":{"format":"sparsify","keep":"1"})";

}  // namespace

TEST_CASE("masks come back in order with their names and shapes", "[mask][mask_set]") {
  std::mt19937 random(1);
  MaskSet masks;
  for (const Shape& shape : {Shape{3, 5}, Shape{1 << 11, 700}, Shape{}, Shape{0, 4}, Shape{65}}) {
    Mask mask{shape, BitMask(element_count(shape))};
    for (int64_t i = 0; i < mask.bits.size(); ++i) {
      if (random() % 2 != 0) mask.bits.prune(i);
    }
    masks.emplace_back("weight \"" + std::to_string(9 - masks.size()) + "\" \u00e4", mask);
  }
  const TemporaryFile file;
  write_masks(file.path(), masks, /*overwrite=*/false);
  const MaskSet read = read_masks(file.path());
  REQUIRE(read.size() == masks.size());
  for (const auto& [name, mask] : masks) {
    bool found = false;
    for (const auto& [other, same] : read) {
      if (other != name) continue;
      found = true;
      CHECK(same.shape == mask.shape);
      CHECK(same.bits == mask.bits);
    }
    CHECK(found);
  }
  CHECK(read[0].first == masks[0].first);
  CHECK(read[4].first == masks[4].first);
}

TEST_CASE("an existing file of masks is not overwritten unasked", "[mask][mask_set]") {
  const TemporaryFile file;
  write_masks(file.path(), {}, false);
  CHECK(read_masks(file.path()).empty());
  CHECK_THROWS_AS(write_masks(file.path(), {}, false), ConfigError);
  write_masks(file.path(), {{"w", {{2}, BitMask(2)}}}, true);
  CHECK(read_masks(file.path()).size() == 1);
}

TEST_CASE("two masks of one name are refused", "[mask][mask_set]") {
  const TemporaryFile file;
  const Mask mask{{1}, BitMask(1)};
  CHECK_THROWS_WITH(write_masks(file.path(), {{"w", mask}, {"w", mask}}, false), Contains("two masks are named \"w\""));
  CHECK_FALSE(std::filesystem::exists(file.path()));
}

TEST_CASE("a file that is not a set of masks is refused with the reason", "[mask][mask_set]") {
  const TemporaryFile file;
  CHECK_THROWS_AS(read_masks(file.path()), ResourceError);
  file.write_all("abc");
  CHECK_THAT(refusal(file), Contains("ends too early"));
  file.write_all(std::string("\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10));
  CHECK_THAT(refusal(file), Contains("the header claims 9223372036854775807 bytes"));
  file.write_all(std::string("\x03\0\0\0\0\0\0\0{}", 10));
  CHECK_THAT(refusal(file), Contains("the header claims 3 bytes"));
  file.write("[1", "");
  CHECK_THAT(refusal(file), Contains("not a JSON object"));
  file.write(R"({"w":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}})", std::string(1, 1));
  CHECK_THAT(refusal(file), Contains("1 means kept"));

  const auto entry = [&](const std::string& text, size_t bytes = 2) {
    file.write("{" + kKeep + ",\"w\":" + text + "}", std::string(bytes, 1));
    return refusal(file);
  };
  CHECK(entry(R"({"dtype":"BOOL","shape":[2],"data_offsets":[0,2]})") == "accepted");
  CHECK(entry(R"({"dtype":"BOOL","shape":[2,1],"data_offsets":[0,2]})") == "accepted");
  CHECK_THAT(entry(R"({"dtype":"F32","shape":[2],"data_offsets":[0,2]})"), Contains("\"F32\", masks are \"BOOL\""));
  CHECK_THAT(entry(R"({"dtype":"BOOL","shape":[3],"data_offsets":[0,2]})"), Contains("shape [3] and 2 bytes"));
  CHECK_THAT(entry(R"({"dtype":"BOOL","shape":[-2],"data_offsets":[0,2]})"), Contains("is [-2]"));
  CHECK_THAT(entry(R"({"dtype":"BOOL","shape":[2.0],"data_offsets":[0,2]})"), Contains("is [2.0]"));
  CHECK_THAT(entry(R"({"dtype":"BOOL","shape":[18446744073709551615],"data_offsets":[0,2]})"), Contains("shape"));
  CHECK_THAT(entry(R"({"dtype":"BOOL","shape":[4294967296,4294967296,2],"data_offsets":[0,2]})"), Contains("2 bytes"));
  CHECK_THAT(entry(R"({"dtype":"BOOL","shape":[2],"data_offsets":[0,3]})"), Contains("[0,3] of 2 bytes"));
  CHECK_THAT(entry(R"({"dtype":"BOOL","shape":[2],"data_offsets":[2,0]})"), Contains("[2,0] of 2 bytes"));
  CHECK_THAT(entry(R"({"dtype":"BOOL","shape":[1],"data_offsets":[1,2]})"), Contains("begins at byte 1"));
  CHECK_THAT(entry(R"({"dtype":"BOOL","shape":[2],"data_offsets":[0,2]})", 3), Contains("end at byte 2 of 3"));
  CHECK_THAT(entry(R"({"dtype":"BOOL"})"), Contains("no dtype, shape or data_offsets"));
  CHECK_THAT(entry("7"), Contains("no dtype"));
  file.write("{" + kKeep + R"(,"w":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}})", "\x01\x02");
  CHECK_THAT(refusal(file), Contains("element 1 of the mask \"w\" is neither 0 nor 1"));
}
