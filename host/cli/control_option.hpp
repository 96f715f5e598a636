// --control: a picture to follow, and with what.
#pragma once

#include <string>
#include <string_view>

#include "pumice/pumice.hpp"

namespace pumice::cli {

struct ControlOption {
    std::string image;       ///< file
    embedding::Control use;  ///< without its pixels
    std::string text = {};   ///< as it was given
};

/// "model=FILE,image=PNG,weight=1,start=0,end=1,mode=balanced,resize=crop,preprocessor=NAME,method=NAME": model and
/// image must be there. PUMICE_INVALID_ARGUMENT, one line.
Expected<ControlOption> parse_control(std::string_view text);

/// "ControlNet 0" and on of the web UI's parameters line, as its ControlNet extension writes a unit.
std::string control_infotext(const ControlOption&);

}  // namespace pumice::cli
