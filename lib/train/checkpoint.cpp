#include "train/checkpoint.h"

#include <fmt/core.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/folders.h"
#include "base/names.h"
#include "base/sha256.h"
#include "train/tensor_file.h"

namespace sparsify {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kLatest = "latest.json";

std::string digest(const std::string& text) { return sha256_of(std::as_bytes(std::span(text))); }

void remove_tensors(const std::string& folder, const std::string& but) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("step-") && name != but) fs::remove(entry.path(), ignored);
  }
}

}  // namespace

void write_checkpoint(const std::string& folder, int64_t step, const Checkpoint& checkpoint) {
  const NewFolders folders(folder);  // a disk that is full leaves no empty ones
  const std::string name = fmt::format("step-{:010}.safetensors", step);
  const std::string sha256 = write_tensors((fs::path(folder) / name).string(), checkpoint.tensors);
  const Json latest{{"schema_version", 1}, {"step", step}, {"tensors", name}, {"tensors_sha256", sha256}, {"identity", checkpoint.identity},
                    {"state", checkpoint.state}, {"state_sha256", digest(checkpoint.state)}};
  write_file_atomically((fs::path(folder) / kLatest).string(), latest.dump(1), /*overwrite=*/true);
  remove_tensors(folder, name);
}

std::optional<Checkpoint> read_checkpoint(const std::string& folder, const std::map<std::string, std::string>& identity) {
  const std::string path = (fs::path(folder) / kLatest).string();
  if (!fs::exists(path)) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  const Json latest = Json::parse(file, nullptr, /*allow_exceptions=*/false);
  Checkpoint checkpoint;
  std::string tensors;
  std::string sha256;
  try {
    checkpoint.identity = latest.at("identity").get<std::map<std::string, std::string>>();
    checkpoint.state = latest.at("state").get<std::string>();
    tensors = latest.at("tensors").get<std::string>();
    sha256 = latest.at("tensors_sha256").get<std::string>();
    if (digest(checkpoint.state) != latest.at("state_sha256")) throw Json::other_error::create(501, "digest", nullptr);
  } catch (const Json::exception&) {
    throw ResourceError{{.what = "the checkpoint is damaged", .where = path, .fix = "start the run again without --resume (--overwrite drops the checkpoint)"}};
  }
  std::vector<std::string> others;
  for (const auto& [what, value] : identity) {
    const auto found = checkpoint.identity.find(what);
    if (found == checkpoint.identity.end() || found->second != value) others.push_back(what);
  }
  if (!others.empty()) {
    throw ConfigError{{.what = fmt::format("the checkpoint belongs to another {}", join(others, " and ")),
                       .where = path,
                       .fix = "resume with the model, the recipe and the data it was started with, choose another output, or drop it with --overwrite"}};
  }
  checkpoint.tensors = read_tensors((fs::path(folder) / tensors).string(), sha256);
  return checkpoint;
}

bool has_checkpoint(const std::string& folder) { return fs::exists(fs::path(folder) / kLatest); }

void remove_checkpoints(const std::string& folder) {
  std::error_code ignored;
  fs::remove(fs::path(folder) / kLatest, ignored);
  remove_tensors(folder, "");
  fs::remove(folder, ignored);  // only if empty
}

}  // namespace sparsify
