#include "pipeline/precision.h"

#include "base/error.h"
#include "config/precision.h"

namespace sparsify {

bool computes_in_bfloat16(const Recipe& recipe, const ModelFile& file) {
  if (precision_of(recipe) != "bf16") return false;
  for (int id = 0; id < file.tensor_count(); ++id) {
    if (file.tensor(id).type == DType::Float32 && file.tensor(id).shape.size() > 1) return true;
  }
  throw ConfigError{{.what = "bf16 replaces products of float32, and the model has no float32 weights",
                     .where = file.path(),
                     .fix = "remove precision: bf16"}};
}

}  // namespace sparsify
