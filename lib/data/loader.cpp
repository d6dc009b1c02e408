#include "data/loader.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/log.h"
#include "data/batcher.h"
#include "data/prefetch.h"
#include "data/selection.h"

namespace sparsify {
namespace {

/// Which records come, in what order, how many at a time.
struct PassOptions {
  bool shuffle = false;
  int64_t batch_size = 0;
};

PassOptions read_pass_options(const Options& options, const std::string& name) {
  // Used by resolve_set already, which looks at each set of a chain on its own.
  options.optional_integer("skip", {.min = 0}, "leaves out the first records, before limit");
  options.optional_integer("limit", {.min = 1}, "only the first records");
  options.optional_integer("samples", {.min = 1},
                           "a seeded random subset of so many records, after limit");
  return {.shuffle = options.flag("shuffle", name == "train",
                                  "a new seeded order each epoch; on for the set train"),
          .batch_size = options.integer("batch_size", 128, {.min = 1, .max = 1 << 24},
                                        "a model with a fixed batch overrules it")};
}

/// `random:limit=4` has a path, as `npz:a.npz` does, and not a limit.
void reject_path(const Options& options, const std::string& format) {
  if (!options.has("path")) return;
  for (const OptionRecord& record : options.records()) {
    if (record.key == "path") return;
  }
  const Setting path = options.value("path");
  const bool is_keys = path.is_text() && path.text().find('=') != std::string::npos;
  throw ConfigError{
      {.what = fmt::format("the data format {} has no path, and {} is given as one", format,
                           path.describe()),
       .where = options.where("path"),
       .fix = is_keys ? fmt::format("keys follow a comma: {},{}", format, path.text())
                      : fmt::format("remove the path: {}", format)}};
}

/// What is measured on should be as it is; `from` takes augmentation over with the other keys.
void warn_of_augmentation(const std::string& name, const Setting& keys) {
  if (name != "eval" && name != "validation") return;
  const Setting* augment = keys.find("augment");
  if (augment == nullptr || augment->is_null() || (augment->is_list() && augment->list().empty())) return;
  log_warning("data.{} is augmented ({}): what is measured on it is not what the data give; augment: [] turns it off", name, to_yaml(*augment));
}

}  // namespace

struct DataSource::Impl {
  std::unique_ptr<Batcher> batcher;
  std::vector<int64_t> records;
  PassOptions pass;
  uint64_t seed = 0;
};

DataSource::DataSource(const std::string& name, const std::map<std::string, Setting>& sets,
                       const InputSignature& signature, uint64_t seed) {
  const ResolvedSet set = resolve_set(name, sets);
  warn_of_augmentation(name, set.keys);
  const Options options(set.keys, set.path);
  const std::string format = options.required_text("format", "how the data are stored");
  const PassOptions pass =
      read_pass_options(options, name);  // before the format's own keys: `random` has its own limit
  std::unique_ptr<Dataset> dataset;
  if (Registry<Dataset>::instance().contains(format)) {
    dataset = Registry<Dataset>::instance().make(format, options);
  } else {
    throw ConfigError{{.what = fmt::format("no data format is named \"{}\"", format),
                       .where = options.where("format"),
                       .fix = suggest(format, Registry<Dataset>::instance().names())}};
  }

  auto impl = std::make_shared<Impl>();
  impl->seed = seed;
  impl->pass = pass;
  impl->batcher = std::make_unique<Batcher>(std::move(dataset), signature, options, set.path, seed);
  if (impl->batcher->dataset().is_batched()) {
    impl->pass.batch_size = 1;
  } else if (impl->batcher->fixed_batch() > 0) {
    impl->pass.batch_size = impl->batcher->fixed_batch();
  }
  reject_path(options, format);
  options.reject_unread();
  impl->records = select_records(set, impl->batcher->dataset().size(), seed);
  impl->batcher->check_labels(impl->records);
  impl_ = std::move(impl);
}

DataSource::~DataSource() = default;
DataSource::DataSource(DataSource&&) noexcept = default;
DataSource& DataSource::operator=(DataSource&&) noexcept = default;

int64_t DataSource::size() const { return static_cast<int64_t>(impl_->records.size()); }
bool DataSource::has_labels() const { return impl_->batcher->dataset().has_labels(); }
bool DataSource::has_class_labels() const {
  if (!has_labels() || impl_->records.empty()) return false;
  const std::optional<HostTensor> label = impl_->batcher->dataset().read(impl_->records.front()).label;
  return label && label->type() == DType::Int64;
}
int64_t DataSource::batch_size() const { return impl_->pass.batch_size; }

std::string DataSource::describe() const {
  const Dataset& dataset = impl_->batcher->dataset();
  const std::string count = size() == dataset.size()
                                ? std::to_string(size())
                                : fmt::format("{} of {}", size(), dataset.size());
  return fmt::format("{} ({} {})", dataset.describe(), count,
                     dataset.is_batched() ? "batches" : "samples");
}

std::string DataSource::place(int64_t record) const { return impl_->batcher->dataset().place(record); }

int64_t DataSource::batch_size_of(const Pass& pass) const {
  const Batcher& batcher = *impl_->batcher;
  if (batcher.dataset().is_batched() || batcher.fixed_batch() > 0) return impl_->pass.batch_size;
  return pass.batch_size > 0 ? pass.batch_size : impl_->pass.batch_size;
}

std::unique_ptr<DataSource::Stream> DataSource::stream(const Pass& pass) const {
  const int64_t size = batch_size_of(pass);
  std::vector<int64_t> order = impl_->records;
  if (impl_->pass.shuffle) shuffle_records(order, impl_->seed, pass.epoch);
  const auto count = static_cast<int64_t>(order.size());
  const int64_t total = pass.drop_last ? count / size : (count + size - 1) / size;
  // The stream owns what it reads from: it may outlive the source.
  const int64_t shares = (total + pass.stride - 1) / pass.stride;
  const int64_t skipped = std::min(pass.first_batch / pass.stride, shares);
  return std::make_unique<PrefetchStream>(
      shares - skipped, pass.workers,
      [impl = impl_, order = std::move(order), size, pass, total, skipped](int64_t index) {
        const int64_t number = (index + skipped) * pass.stride + pass.first_batch % pass.stride;
        const int64_t first = number % total * size;
        const auto rest = std::span(order).subspan(static_cast<size_t>(first));
        const auto records = rest.first(std::min(rest.size(), static_cast<size_t>(size)));
        Batch batch = impl->batcher->make(records, pass.epoch);
        batch.first = first;
        batch.records.assign(records.begin(), records.end());
        if (number >= total) batch.count = 0;
        return batch;
      });
}

std::vector<OptionRecord> common_data_options() {
  const Options options;
  read_pass_options(options, "");
  options.optional_integer("classes", {.min = 1}, "labels must lie in [0, classes)");
  const Feed any_picture{
      .path = "",
      .source = "",
      .array = {"", DType::UInt8, {-1, -1, -1}},
      .layout = ImageLayout::Hwc,
      .input = {.name = "", .kind = ValueInfo::Kind::Tensor, .type = DType::Float32, .shape = {}}};
  const InputTransform transform(options, any_picture);
  return options.records();
}

}  // namespace sparsify
