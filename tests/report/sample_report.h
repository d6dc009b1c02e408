#pragma once

#include "report/run_report.h"

namespace sparsify {

/// Four layers with names that break careless renderers, one missed gate, one absent figure of each kind.
RunReport small_report();

/// The shape of a real run: the 57 weights of a CIFAR ResNet-56 at sparsity 0.9 with twelve mask pictures.
RunReport resnet56_report();

}  // namespace sparsify
