#include "schedules/dynamic.h"

namespace sparsify {

Dynamic::Dynamic(const Options& options)
    : grow_(options.choice("grow", "gradient", {"gradient", "random"}, "gradient: RigL; random: SET")),
      fraction_(options.number("fraction", 0.3, {.min = 0, .max = 1}, "of the kept weights that the first change replaces; falls as a cosine")),
      every_(options.integer("every", 100, {.min = 1}, "steps between two changes")),
      end_(options.number("end", 0.75, {.min = 0, .max = 1, .above_min = true}, "progress from which the masks stay")) {}

namespace {

const Register<Schedule, Dynamic> entry{"dynamic", "the target from the start; masks move while training (RigL, SET)"};

}  // namespace
}  // namespace sparsify
