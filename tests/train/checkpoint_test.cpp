#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "data/fixtures.h"
#include "support/catch.h"
#include "train/checkpoint.h"

using namespace sparsify;
namespace fs = std::filesystem;

namespace {

const std::map<std::string, std::string> kIdentity = {{"model", "abc"}, {"recipe", "def"}};

Checkpoint sample() {
  Checkpoint checkpoint{.identity = kIdentity};
  checkpoint.tensors["weight/3"] = HostTensor::of<float>(DType::Float32, {2, 2}, {1, -0.0f, 3, 4});
  checkpoint.tensors["state/3/step"] = HostTensor::of<int64_t>(DType::Int64, {}, {7});
  checkpoint.state = "{\"step\": 7}";
  return checkpoint;
}

std::string tensor_file(const std::string& folder) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".safetensors") return entry.path().string();
  }
  return "";
}

}  // namespace

TEST_CASE("a checkpoint comes back byte for byte", "[train][checkpoint]") {
  const TemporaryFolder folder;
  write_checkpoint(folder.path("c"), 7, sample());
  const auto again = read_checkpoint(folder.path("c"), kIdentity);
  REQUIRE(again.has_value());
  CHECK(again->state == "{\"step\": 7}");
  const HostTensor weight = again->tensors.at("weight/3");
  CHECK(weight.shape() == Shape{2, 2});
  CHECK(std::signbit(weight.data<float>()[1]));
  CHECK(again->tensors.at("state/3/step").to_integers() == std::vector<int64_t>{7});
  CHECK_FALSE(read_checkpoint(folder.path("none"), kIdentity).has_value());
}

TEST_CASE("only the newest checkpoint stays, and all go when asked", "[train][checkpoint]") {
  const TemporaryFolder folder;
  write_checkpoint(folder.path("c"), 7, sample());
  write_checkpoint(folder.path("c"), 8, sample());
  CHECK(std::distance(fs::directory_iterator(folder.path("c")), fs::directory_iterator()) == 2);
  CHECK(has_checkpoint(folder.path("c")));
  remove_checkpoints(folder.path("c"));
  CHECK_FALSE(fs::exists(folder.path("c")));
}

TEST_CASE("a checkpoint of another model or recipe is refused by name", "[train][checkpoint]") {
  const TemporaryFolder folder;
  write_checkpoint(folder.path("c"), 7, sample());
  CHECK_THROWS_WITH(read_checkpoint(folder.path("c"), {{"model", "other"}, {"recipe", "def"}}), Catch::Contains("belongs to another model"));
  CHECK_THROWS_AS(read_checkpoint(folder.path("c"), {{"model", "abc"}, {"recipe", "other"}}), ConfigError);
}

TEST_CASE("a damaged checkpoint is refused wherever the damage is", "[train][checkpoint]") {
  const TemporaryFolder folder;
  write_checkpoint(folder.path("c"), 7, sample());
  const std::string tensors = tensor_file(folder.path("c"));
  SECTION("truncated tensors") {
    fs::resize_file(tensors, fs::file_size(tensors) - 1);
    CHECK_THROWS_WITH(read_checkpoint(folder.path("c"), kIdentity), Catch::Contains("damaged"));
  }
  SECTION("missing tensors") {
    fs::remove(tensors);
    CHECK_THROWS_AS(read_checkpoint(folder.path("c"), kIdentity), ResourceError);
  }
  SECTION("truncated index") {
    fs::resize_file(folder.path("c/latest.json"), 40);
    CHECK_THROWS_WITH(read_checkpoint(folder.path("c"), kIdentity), Catch::Contains("damaged"));
  }
}
