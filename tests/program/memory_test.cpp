#include "program/memory.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/ones.h>
#include <fmt/core.h>

#include "base/error.h"
#include "base/memory.h"
#include "program/model_text.h"
#include "program/program.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

constexpr int64_t kMib = int64_t{1} << 20;

at::Tensor tensor_of(int64_t bytes) { return at::empty({bytes}, at::TensorOptions(at::kByte)); }

}  // namespace

TEST_CASE("memory of a large tensor serves the next one of about its size", "[program][memory]") {
  pool_tensor_memory();
  release_tensor_memory();
  const int64_t before = tensor_memory().mapped;
  at::Tensor first = tensor_of(8 * kMib);
  const void* const place = first.data_ptr();
  CHECK(tensor_memory().mapped == before + 8 * kMib);
  first = at::Tensor();

  at::Tensor second = tensor_of(8 * kMib - 100);

  CHECK(second.data_ptr() == place);
  CHECK(tensor_memory().mapped == before + 8 * kMib);
}

TEST_CASE("tensors of other sizes never hold more than was alive at once", "[program][memory]") {
  pool_tensor_memory();
  release_tensor_memory();
  const int64_t before = tensor_memory().mapped;
  { const at::Tensor a = tensor_of(6 * kMib), b = tensor_of(4 * kMib); }
  for (const int64_t size : {3, 7, 2, 9, 5}) {
    const at::Tensor one = tensor_of(size * kMib);
    CHECK(tensor_memory().mapped <= before + 10 * kMib);
  }
  release_tensor_memory();
  CHECK(tensor_memory().mapped == before);
}

TEST_CASE("neighbours that come free serve a tensor that none of them would hold", "[program][memory]") {
  pool_tensor_memory();
  release_tensor_memory();
  const int64_t before = tensor_memory().mapped;
  at::Tensor left = tensor_of(3 * kMib);
  at::Tensor right = tensor_of(5 * kMib);
  const bool ordered = left.data_ptr() < right.data_ptr();
  const void* const place = (ordered ? left : right).data_ptr();
  left = at::Tensor();
  right = at::Tensor();

  const at::Tensor both = tensor_of(8 * kMib);

  CHECK(both.data_ptr() == place);
  CHECK(tensor_memory().mapped == before + 8 * kMib);
}

TEST_CASE("a large range is cut for small tensors, and they do not overlap", "[program][memory]") {
  pool_tensor_memory();
  release_tensor_memory();
  const int64_t before = tensor_memory().mapped;
  tensor_of(16 * kMib).fill_(1);
  std::vector<at::Tensor> parts;
  for (int i = 0; i < 16; ++i) parts.push_back(tensor_of(kMib).fill_(i));
  CHECK(tensor_memory().mapped == before + 16 * kMib);
  for (int i = 0; i < 16; i += 2) parts[static_cast<size_t>(i)] = at::Tensor();
  for (int i = 0; i < 16; i += 2) parts[static_cast<size_t>(i)] = tensor_of(kMib).fill_(i);
  CHECK(tensor_memory().mapped == before + 16 * kMib);
  for (int i = 0; i < 16; ++i) CHECK(parts[static_cast<size_t>(i)].eq(i).all().item<bool>());
}

TEST_CASE("a tensor keeps its numbers while its neighbours come and go", "[program][memory]") {
  pool_tensor_memory();
  const at::Tensor kept = at::ones({1 << 19});
  for (int64_t size = 1; size < 6; ++size) at::ones({size << 18}).add_(1);
  CHECK(kept.sum().item<double>() == 1 << 19);
}

TEST_CASE("a tensor that is larger than the memory ends with its node, the shapes and exit code 5", "[program][memory][errors]") {
  const TextModel model(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[n] x) => (float[m, n] y) <int64[2] target = {4611686018427, 1}> {
      wide = Expand (x, target)
      [too_large] y = Add (wide, x)
    })");
  const ModelFile file = model.load();
  const auto program = Program::build(file);
  try {
    program->run({Value(at::ones({4}))});
    FAIL("it fitted");
  } catch (const ExhaustedError& e) {
    CHECK(e.exit_code() == 5);
    CHECK_THAT(e.problem().where, Catch::Contains("too_large") && Catch::Contains("Add"));
    CHECK_THAT(e.problem().what, Catch::Contains("float32[4611686018427, 4]") && Catch::Contains("GiB"));
  }
}

TEST_CASE("the memory that is left is some, and no more than a machine could have", "[base][memory]") {
  CHECK(available_memory() > 0);
  CHECK(available_memory() < int64_t{1} << 50);
}
