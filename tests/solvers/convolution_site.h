#pragma once

#include <memory>
#include <string>

#include "mask/prunable.h"
#include "program/model_text.h"
#include "program/program.h"
#include "solvers/linear_site.h"
#include "support/catch.h"

namespace sparsify {

/// A model whose one convolution has the weight "w", and the site of it.
struct ConvolutionSite {
  TextModel text;
  ModelFile file;
  std::unique_ptr<Program> program;
  LinearSite site;

  explicit ConvolutionSite(const std::string& model) : text(model), file(text.load()), program(Program::build(file)) {
    for (const PrunableTensor& tensor : find_tensors(file)) {
      std::string reason;
      if (tensor.initializer == "w") site = find_site(*program, tensor, reason);
      REQUIRE(reason.empty());
    }
  }

  const Step& step() const { return program->plan().steps[site.step]; }
};

}  // namespace sparsify
