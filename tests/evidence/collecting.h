#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "data/fixtures.h"
#include "evidence/collector.h"
#include "program/model_text.h"
#include "support/catch.h"
#include "support/layers.h"

namespace sparsify {

/// A model in ONNX's textual syntax with rows of numbers as its calibration data.
struct Collecting {
  explicit Collecting(const std::string& model) : text(model), file(text.load()) {}

  PrunableTensor layer(const std::string& name) const {
    for (const PrunableTensor& tensor : find_tensors(file)) {
      if (tensor.initializer == name) return tensor;
    }
    throw std::runtime_error("no tensor " + name);
  }

  /// `keys` are added to the data set: `label: none, batch_size: 1`.
  CollectedEvidence collect(const std::vector<std::string>& names, Evidence kinds, const std::string& rows = "", const std::string& keys = "label: none",
                            const EvidenceOptions& options = {}, const std::vector<BitMask>& masks = {}, int threads = 0) const {
    CollectorTask task{.file = &file, .options = options, .seed = 5, .threads = threads};
    for (const std::string& name : names) {
      task.layers.push_back(layer(name));
      task.kinds.push_back(kinds);
    }
    const auto collector = make_evidence_collector();
    collector->open(task);
    if (rows.empty()) return collector->collect(nullptr, masks);
    const TemporaryFolder folder;
    folder.write("rows.csv", rows);
    const DataSource data = open_source("calibration: {format: csv, path: " + folder.path("rows.csv") + ", " + keys + "}",
                                        file.model().graph.inputs, "calibration");
    return collector->collect(&data, masks);
  }

  TextModel text;
  ModelFile file;
};

/// Compares equal to numbers that differ by float32's rounding.
struct About {
  std::vector<double> values;
};
inline About about(std::vector<double> values) { return {std::move(values)}; }
inline bool operator==(const std::vector<double>& found, const About& wanted) {
  if (found.size() != wanted.values.size()) return false;
  for (size_t i = 0; i < found.size(); ++i) {
    if (found[i] != Catch::Detail::Approx(wanted.values[i]).epsilon(1e-5).margin(1e-6)) return false;
  }
  return true;
}
inline std::ostream& operator<<(std::ostream& out, const About& wanted) {
  for (const double value : wanted.values) out << value << ' ';
  return out;
}

}  // namespace sparsify
