#pragma once

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/loader.h"

namespace sparsify {

/// An empty folder that goes away with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "sparsify_data_XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string path(const std::string& name = "") const { return (path_ / name).string(); }
  void write(const std::string& name, const std::string& bytes) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << bytes;
  }

 private:
  std::filesystem::path path_;
};

inline std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

/// `shape` with -1 for a free axis.
inline ValueInfo model_input(const std::string& name, DType type, const Shape& shape) {
  ValueInfo info{.name = name,
                 .kind = ValueInfo::Kind::Tensor,
                 .type = type,
                 .shape = std::vector<Dimension>{}};
  for (const int64_t size : shape)
    info.shape->push_back({.size = size, .symbol = size < 0 ? "N" : ""});
  return info;
}

/// A source from `data:` written as YAML.
inline DataSource open_source(const std::string& yaml, const InputSignature& signature,
                              const std::string& name = "eval", uint64_t seed = 0) {
  const Setting tree = parse_yaml(yaml, "recipe.yaml");
  std::map<std::string, Setting> sets;
  for (const auto& [key, value] : tree.map()) sets[key] = value;
  return DataSource(name, sets, signature, seed);
}

inline std::vector<Batch> read_all(const DataSource& source, const DataSource::Pass& pass = {}) {
  std::vector<Batch> batches;
  const auto stream = source.stream(pass);
  while (auto batch = stream->next()) batches.push_back(std::move(*batch));
  return batches;
}

/// All labels of a pass, without those that only fill up a batch.
inline std::vector<int64_t> read_labels(const DataSource& source,
                                        const DataSource::Pass& pass = {}) {
  std::vector<int64_t> labels;
  for (const Batch& batch : read_all(source, pass)) {
    const std::vector<int64_t> all = batch.labels->to_integers();
    labels.insert(labels.end(), all.begin(), all.begin() + batch.count);
  }
  return labels;
}

/// The message of the error that `call` throws.
template <class Expected, class Call>
Problem problem_of(const Call& call) {
  try {
    call();
  } catch (const Expected& error) {
    return error.problem();
  } catch (const std::exception& error) {
    return {.what = std::string("another error: ") + error.what(), .where = "", .fix = ""};
  }
  return {.what = "nothing was thrown", .where = "", .fix = ""};
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace sparsify
