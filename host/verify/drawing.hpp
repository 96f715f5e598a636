// Upscalers, preprocessors and image filters of a plugin, run on small pictures, with a host that can be made to fail.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "plugins/picture.hpp"
#include "verify/counted_math.hpp"
#include "verify/suite.hpp"

namespace pumice::verify {

/// The kinds of what makes a picture of a picture.
enum class Craft : std::uint8_t { upscaler, preprocessor, image_filter };

struct DrawOptions : Faults {
    std::uint32_t format = PUMICE_PICTURE_RGB8, width = 24, height = 17;  ///< of the picture that is given
    std::uint32_t out_width = 0, out_height = 0;                          ///< upscaler: of the one that is wanted
    std::uint32_t row_of_alpha = 0;  ///< rows above are transparent, those from here on opaque
    std::byte paper{0};              ///< what is in the bytes of the picture that is wanted
    std::string model;               ///< upscaler: the file
    std::vector<plugins::ParamValue> params;
    std::uint64_t seed = 1;
    const char* hidden = nullptr;  ///< an extension that the host does not have
    std::optional<int>
        cancel_step;      ///< pumice.progress/1 says "cancelled" at this step, from 1; 0: whenever it is asked
    bool future = false;  ///< the host is newer: its structs are longer
    int runs = 1;         ///< of one instance
};

struct Drawn : Tally {
    pumice_sdk_status status = PUMICE_SDK_OK;
    std::string thrown;                                          ///< or why there is no instance
    std::string error;                                           ///< what the host says of it; "" for none
    std::vector<std::byte> pixels;                               ///< of the last run
    std::vector<std::pair<std::uint32_t, std::uint32_t>> steps;  ///< what pumice.progress/1 was told, by the last run
    std::vector<std::size_t> held;                               ///< what the instance held after each run
    bool wrote_input = false, wrote_outside = false;
};

/// A method of one of these kinds.
struct Drawer {
    Plugin plugin;
    std::uint32_t index;
    Craft craft;
    const plugins::Method& method() const;
    DrawOptions options() const;
    Drawn draw(const DrawOptions&) const;
    /// Whether a file is the upscaler's, and its factor. `drawn` has the status, what was thrown and the error.
    double inspect(const std::string& model, Drawn& drawn) const;
};

/// What is wrong with a run that should have gone well.
Why trouble(const Drawn&, std::uint32_t format);

}  // namespace pumice::verify
