#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "mask/prunable.h"
#include "onnx/model_file.h"
#include "report/run_report.h"

namespace sparsify {

/// Bytes that one tensor takes in each way of storing it.
struct StorageSizes {
  int64_t dense = 0;
  int64_t coo = 0;         ///< value + 32-bit linear index for each non-zero
  int64_t csr = 0;         ///< rows = output channels; value + 32-bit column, 32-bit row starts
  int64_t bitmap = 0;      ///< one bit each + the non-zeros
  int64_t compressed = 0;  ///< zlib level 1 of the stored bytes
};

struct InspectedTensor {
  PrunableTensor tensor;
  int64_t zeros = 0;
  std::optional<int64_t> macs{};
  std::string skipped{};    ///< why the default rule leaves it alone; "" = it would be pruned
  std::string two_of_four{};///< `yes` (obeys 2:4), `possible`, or why not
  StorageSizes storage{};
};

struct Inspection {
  ModelFigures figures;
  std::string producer;
  int64_t ir_version = 0;
  std::map<std::string, int64_t> opsets;
  std::vector<ValueInfo> inputs;
  std::vector<ValueInfo> outputs;
  std::map<std::string, int> operators;  ///< type -> nodes of the flattened graph
  std::vector<InspectedTensor> tensors;  ///< in node order
  std::vector<std::string> warnings;
  std::string checker;                   ///< "" = full check passes
};

struct InspectOptions {
  std::map<std::string, Shape> input_shapes{};
  bool storage = false;  ///< also compress every tensor, which takes time
};

Inspection inspect(const ModelFile& file, const InspectOptions& options);

}  // namespace sparsify
