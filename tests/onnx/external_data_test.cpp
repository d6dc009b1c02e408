#include "support/catch.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "onnx/checker.h"
#include "onnx/files.h"
#include "onnx/model_file.h"

using namespace sparsify;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

std::string entry(std::string_view key, std::string_view value) {
  return bytes_field(13, bytes_field(1, key) + bytes_field(2, value));
}

std::string external_tensor(std::string_view name, std::string_view entries) {
  return tensor_head({2}, 1, name) + std::string(entries) + number_field(14, 1);
}

std::string at(std::string_view location, int64_t offset) {
  return entry("location", location) + entry("offset", std::to_string(offset)) + entry("length", "8");
}

/// w at byte 4 and `spare` at byte 12 of `data`, which has 4 bytes that belong to nobody at each end.
std::string two_external(std::string_view location) {
  const std::string spare = bytes_field(5, external_tensor("spare", at(location, 12)));
  return model_with(external_tensor("w", at(location, 4)), bytes_field(7, spare));
}

std::string payload() {
  return "head" + packed<float>({1.0f, 2.0f, 3.0f, 4.0f}) + "tail";
}

BitMask keep_first() {
  BitMask mask(2);
  mask.prune(1);
  return mask;
}

int id_of(const ModelFile& file, const std::string& name) {
  return file.model().graph.find_initializer(name)->id;
}

}  // namespace

TEST_CASE("external data are rewritten beside the output and the input's are left alone", "[onnx][external]") {
  const TemporaryFolder folder;
  write_bytes(folder / "weights.bin", payload());
  write_bytes(folder / "in.onnx", two_external("weights.bin"));
  ModelFile file = ModelFile::load(folder / "in.onnx");
  const int id = id_of(file, "w");
  CHECK(file.storage(id) == Storage::External);
  CHECK(file.tensor_data(id).to_floats() == std::vector<float>{1.0f, 2.0f});
  CHECK(file.size_bytes() == static_cast<int64_t>(two_external("weights.bin").size() + 24));
  CHECK(full_check(file) == "");
  CHECK(infer_shapes(file).at("y").signature() == "float32[2]");

  file.mask_tensor_(id, keep_first());
  const auto writer = file.write(folder / "out.onnx");
  CHECK(writer->reopen().tensor_data(id).to_floats() == std::vector<float>{1.0f, 0.0f});
  const SavedFile saved = writer->commit();
  CHECK(saved.data_paths == std::vector<std::string>{folder / "out.data"});
  CHECK(saved.size_bytes == static_cast<int64_t>(fs::file_size(saved.path)) + 24);

  CHECK(read_bytes(folder / "out.onnx") == two_external("out.data"));
  CHECK(read_bytes(folder / "out.data") == "head" + packed<float>({1.0f, 0.0f, 3.0f, 4.0f}) + "tail");
  CHECK(read_bytes(folder / "weights.bin") == payload());
  const ModelFile back = ModelFile::load(folder / "out.onnx");
  CHECK(back.tensor_data(id_of(back, "spare")).to_floats() == std::vector<float>{3.0f, 4.0f});
  CHECK(full_check(back) == "");
}

TEST_CASE("unedited external data keep their name where it is free", "[onnx][external]") {
  const TemporaryFolder folder;
  write_bytes(folder / "weights.bin", payload());
  write_bytes(folder / "in.onnx", two_external("weights.bin"));
  const ModelFile file = ModelFile::load(folder / "in.onnx");
  fs::create_directory(folder / "elsewhere");
  file.write(folder / "elsewhere/out.onnx")->commit();
  CHECK(read_bytes(folder / "elsewhere/out.onnx") == two_external("weights.bin"));
  CHECK(read_bytes(folder / "elsewhere/weights.bin") == payload());

  file.write(folder / "out.onnx")->commit();
  CHECK(read_bytes(folder / "out.onnx") == two_external("out.data"));
  CHECK(read_bytes(folder / "out.data") == payload());
}

TEST_CASE("an output that is overwritten keeps its data until the new model is there", "[onnx][external]") {
  const TemporaryFolder folder;
  write_bytes(folder / "weights.bin", payload());
  write_bytes(folder / "in.onnx", two_external("weights.bin"));
  ModelFile file = ModelFile::load(folder / "in.onnx");
  file.mask_tensor_(id_of(file, "w"), keep_first());
  file.write(folder / "out.onnx")->commit();
  const std::string old_data = read_bytes(folder / "out.data");

  file.mask_tensor_(id_of(file, "w"), BitMask(2, false));
  auto writer = file.write(folder / "out.onnx", {.overwrite = true});
  CHECK(read_bytes(folder / "out.data") == old_data);
  CHECK(ModelFile::load(folder / "out.onnx").tensor_data(1).count() == 2);
  const SavedFile saved = writer->commit();
  CHECK(saved.data_paths == std::vector<std::string>{folder / "out.data.1"});
  CHECK_FALSE(fs::exists(folder / "out.data"));  // stale
  const ModelFile back = ModelFile::load(folder / "out.onnx");
  CHECK(back.tensor_data(id_of(back, "w")).to_floats() == std::vector<float>{0.0f, 0.0f});
  writer.reset();
  CHECK(folder.files() == 4);
}

TEST_CASE("data in a subfolder move beside the output", "[onnx][external]") {
  const TemporaryFolder folder;
  fs::create_directory(folder / "parts");
  write_bytes(folder / "parts/a.bin", payload());
  write_bytes(folder / "in.onnx", two_external("parts/a.bin"));
  ModelFile::load(folder / "in.onnx").write(folder / "out.onnx")->commit();
  CHECK(read_bytes(folder / "out.data") == payload());
  CHECK(ModelFile::load(folder / "out.onnx").tensor_count() == 2);
}

TEST_CASE("a checksum of data that change is dropped", "[onnx][external]") {
  const TemporaryFolder folder;
  write_bytes(folder / "w.bin", payload());
  write_bytes(folder / "in.onnx",
              model_with(external_tensor("w", at("w.bin", 4) + entry("checksum", "abc"))));
  ModelFile file = ModelFile::load(folder / "in.onnx");
  file.mask_tensor_(0, keep_first());
  file.write(folder / "out.onnx")->commit();
  CHECK(read_bytes(folder / "out.onnx") == model_with(external_tensor("w", at("out.data", 4))));
}

TEST_CASE("tensors that share external bytes are not edited apart", "[onnx][external]") {
  const TemporaryFolder folder;
  write_bytes(folder / "w.bin", payload());
  const std::string alias = bytes_field(5, external_tensor("alias", at("w.bin", 8)));
  write_bytes(folder / "in.onnx", model_with(external_tensor("w", at("w.bin", 4)), bytes_field(7, alias)));
  ModelFile file = ModelFile::load(folder / "in.onnx");
  file.mask_tensor_(id_of(file, "w"), keep_first());
  CHECK_THROWS_WITH(file.write(folder / "out.onnx"), Contains("shares its bytes") && Contains("alias"));
  CHECK(folder.files() == 2);
}

TEST_CASE("the output may not be a data file of the input", "[onnx][external]") {
  const TemporaryFolder folder;
  write_bytes(folder / "w.bin", payload());
  write_bytes(folder / "in.onnx", two_external("w.bin"));
  const ModelFile file = ModelFile::load(folder / "in.onnx");
  CHECK_THROWS_AS(file.write(folder / "w.bin", {.overwrite = true}), ConfigError);
  CHECK(read_bytes(folder / "w.bin") == payload());
}

TEST_CASE("external data written to after loading are noticed", "[onnx][external]") {
  const TemporaryFolder folder;
  write_bytes(folder / "w.bin", payload());
  write_bytes(folder / "in.onnx", two_external("w.bin"));
  const ModelFile file = ModelFile::load(folder / "in.onnx");
  write_bytes(folder / "w.bin", "short");
  CHECK_THROWS_WITH(file.tensor_data(0), Contains("changed while it was in use"));
  CHECK_THROWS_AS(file.write(folder / "out.onnx"), ResourceError);
}

TEST_CASE("an external path cannot leave the folder, and its numbers must fit", "[onnx][external][errors]") {
  const TemporaryFolder outer;
  fs::create_directory(outer / "model");
  const fs::path folder = outer.path() / "model";
  const auto file = [&](const char* name) { return (folder / name).string(); };
  write_bytes(outer / "secret.bin", payload());
  write_bytes(file("w.bin"), payload());
  write_bytes(file("linked.bin"), payload());
  fs::create_hard_link(file("linked.bin"), outer / "second_name.bin");
  fs::create_symlink("w.bin", folder / "link.bin");
  fs::create_symlink(outer.path(), folder / "up");
  fs::create_directory(folder / "dir");
  REQUIRE(::mkfifo(file("pipe").c_str(), 0600) == 0);

  struct Case {
    std::string entries;
    const char* what;
  };
  const std::vector<Case> cases = {
      {at("../secret.bin", 4), "leaves the model's folder"},
      {at("dir/../../secret.bin", 4), "leaves the model's folder"},
      {at((outer.path() / "secret.bin").string(), 4), "absolute"},
      {at("", 4), "is empty"},
      {at(std::string_view("w.bin\0x", 7), 4), "zero byte"},
      {at(".", 0), "not a regular file"},
      {at("dir", 0), "not a regular file"},
      {at("pipe", 0), "not a regular file"},
      {at("link.bin", 4), "symbolic link \"link.bin\""},
      {at("up/secret.bin", 4), "symbolic link \"up\""},
      {at("linked.bin", 4), "2 hard links"},
      {at("absent.bin", 4), "No such file"},
      {at("w.bin", -4), "offset \"-4\""},
      {at("w.bin", 20), "has 24 bytes"},
      {at("w.bin", INT64_MAX), "has 24 bytes"},
      {entry("location", "w.bin") + entry("offset", "99999999999999999999"), "offset \"9999"},
      {entry("location", "w.bin") + entry("length", "4 bytes"), "length \"4 bytes\""},
      {entry("location", "w.bin") + entry("length", "12"), "takes 8 bytes"},
      {entry("location", "w.bin") + entry("location", "w.bin"), "\"location\" twice"},
      {entry("offset", "4"), "no location"},
      {at("w.bin", 4) + bytes_field(9, packed<float>({1.0f, 2.0f})), "and in raw_data"},
  };
  for (const Case& each : cases) {
    INFO(each.what);
    write_bytes(file("m.onnx"), model_with(external_tensor("w", each.entries)));
    try {
      ModelFile::load(file("m.onnx"));
      CHECK(false);
    } catch (const ResourceError& error) {
      CHECK_THAT(error.problem().what, Contains(each.what));
      CHECK_THAT(error.problem().where, Contains("m.onnx") && Contains("\"w\""));
      CHECK_FALSE(error.problem().fix.empty());
    }
  }
  for (const char* trusted : {"link.bin", "up/secret.bin", "linked.bin"}) {
    INFO(trusted);
    write_bytes(file("m.onnx"), model_with(external_tensor("w", at(trusted, 4))));
    const ModelFile loaded = ModelFile::load(file("m.onnx"), {.allow_linked_data = true});
    CHECK(loaded.tensor_data(0).to_floats() == std::vector<float>{1.0f, 2.0f});
  }
  write_bytes(file("m.onnx"), model_with(external_tensor("w", at("../secret.bin", 4))));
  CHECK_THROWS_AS(ModelFile::load(file("m.onnx"), {.allow_linked_data = true}), ResourceError);
}
