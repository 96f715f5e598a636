// The preprocessors and the image filters of this plugin.
#pragma once

#include <cstdint>
#include <vector>

#include "pumice/sdk_graph.hpp"

namespace pumice::preprocessors {

/// What a preprocessor works with. `in` has no pixels where there is no picture.
struct Drawing {
    sdk::Job& job;
    const pumice_host_math_1& math;
    const sdk::Picture& in;
    sdk::Picture& out;  ///< RGB of 8 bits
    std::uint64_t seed;
    const pumice_param_value* params;
};

struct Preprocessor {
    pumice_preprocessor_descriptor descriptor;
    void (*run)(Drawing&);
};

std::vector<Preprocessor> edge_methods();    ///< canny.cpp
std::vector<Preprocessor> colour_methods();  ///< colours.cpp: scribble, blur, tile, recolor, invert, threshold, shuffle
std::vector<Preprocessor> pose_methods();    ///< pose.cpp

struct Filter {
    pumice_image_filter_descriptor descriptor;
    void (*run)(Drawing&);
};
std::vector<Filter> filters();  ///< filters.cpp

/// A parameter of a number.
constexpr pumice_param number(const char* id, const char* help, const char* unit, double least, double most,
                              double standard, std::int32_t type = PUMICE_PARAM_INT) {
    return {sizeof(pumice_param),
            type,
            id,
            help,
            unit,
            least,
            most,
            type == PUMICE_PARAM_INT ? 1.0 : 0.05,
            standard,
            nullptr,
            nullptr};
}

}  // namespace pumice::preprocessors
