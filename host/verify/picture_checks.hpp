// What is asked alike of upscalers, preprocessors and image filters.
#pragma once

#include <memory>

#include "verify/drawing.hpp"

namespace pumice::verify {

/// A method, with what it needs to be run.
struct Tested {
    Drawer drawer;
    std::string model = {};  ///< of an upscaler that needs one
    double scale = 1;        ///< of an upscaler
    Why lacking = {};        ///< why it cannot be run here; "": it can

    /// The settings it is run with where nothing else matters.
    DrawOptions options() const { return sized(drawer.options()); }
    /// With the size that is wanted: the given one's times `factor`, or an upscaler's own.
    DrawOptions sized(DrawOptions options, double factor = 0) const;
    DrawOptions sized(std::uint32_t width, std::uint32_t height, std::uint32_t format, double factor = 0) const;
    Drawn draw(const DrawOptions& options) const { return drawer.draw(options); }
};

struct PictureCheck {
    const char* name;
    Why (*run)(const Tested&);
};

/// The checks of all three kinds, then `own`, of a method; `prepare` finds what it needs, once.
Checks picture_checks(const Drawer&, const char* kind, std::span<const PictureCheck> own);

}  // namespace pumice::verify
