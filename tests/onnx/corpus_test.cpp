#include "support/catch.h"

#include <onnx/onnx_pb.h>

#include <cstdlib>
#include <filesystem>

#include "onnx/files.h"
#include "onnx/model_file.h"
#include "support/shared.h"

using namespace sparsify;
namespace fs = std::filesystem;

namespace {

std::vector<fs::path> models_under(const fs::path& folder) {
  std::vector<fs::path> models;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() == ".onnx") models.push_back(entry.path());
  }
  return models;
}

/// What differs after load and save; "" if nothing does. Nothing is committed, so nothing waits for the disk.
std::string round_trip_difference(const fs::path& path, const TemporaryFolder& folder) {
  const ModelFile file = ModelFile::load(path.string());
  const auto writer = file.write(folder / "out.onnx");
  const ModelFile back = writer->reopen();
  if (read_bytes(path.string()) != read_bytes(back.path())) return path.string() + ": other bytes";
  ONNX_NAMESPACE::ModelProto model;
  model.ParseFromString(read_bytes(path.string()));
  const auto nodes = static_cast<size_t>(model.graph().node_size());
  if (file.model().graph.nodes.size() != nodes || back.model().graph.nodes.size() != nodes) {
    return path.string() + ": other nodes";
  }
  for (int id = 0; id < file.tensor_count(); ++id) {
    if (file.tensor_data(id).type() != DType::String &&
        file.tensor_data(id).bytes().size() != back.tensor_data(id).bytes().size()) {
      return path.string() + ": other tensors";
    }
  }
  return "";
}

}  // namespace

TEST_CASE("real networks come back byte for byte", "[onnx][corpus]") {
  int count = 0;
  for (const char* folder : {"models", "zoo"}) {
    const auto path = shared_or_skip(folder, "round trip of real networks");
    if (path.empty()) continue;
    const TemporaryFolder scratch;
    for (const fs::path& model : models_under(path)) {
      CHECK(round_trip_difference(model, scratch) == "");
      ++count;
    }
    CHECK(scratch.files() == 0);
  }
  CHECK((count == 0 || count >= 69));
}

TEST_CASE("the ONNX project's conformance models come back byte for byte", "[onnx][corpus]") {
  const auto archive =
      shared_or_skip("conformance/onnx-v1.22.0-backend-test-data.tar.xz", "conformance round trip");
  if (archive.empty()) return;
  const TemporaryFolder unpacked;
  const std::string command = "tar -xJf '" + fs::absolute(archive).string() + "' -C '" +
                              unpacked.path().string() + "' --wildcards '*.onnx'";
  REQUIRE(std::system(command.c_str()) == 0);
  const TemporaryFolder scratch;
  int count = 0;
  for (const fs::path& model : models_under(unpacked.path())) {
    const std::string difference = round_trip_difference(model, scratch);
    if (!difference.empty()) CHECK(difference == "");
    ++count;
  }
  CHECK(count == 1914);
}
