// The charts of a page: SVG for inside HTML, coloured by the page's classes c0, c1, …
#pragma once

#include <string>
#include <vector>

namespace pumice::report {

inline constexpr std::size_t kColours = 8;

/// A bar a value, in groups with a heading each. The longest bar is as wide as there is room: of all, or of each group.
struct BarGroup {
    std::string heading;
    struct Bar {
        double value;
        std::string label;   ///< behind it
        std::size_t colour;  ///< of kColours
    };
    std::vector<Bar> bars;
};
std::string bar_chart(const std::vector<BarGroup>& groups, bool one_scale, const std::string& description);

/// Bars of parts, each as wide as there is room: shares of a whole.
struct StackedBar {
    std::string heading;
    struct Part {
        double value;
        std::size_t colour;
        std::string name;
    };
    std::vector<Part> parts;
};
std::string stacked_chart(const std::vector<StackedBar>& bars, const std::string& description);

/// Arithmetic intensity against rate, both logarithmic.
struct Roofline {
    struct Roof {
        double gflops, gbps;
        std::size_t colour;
    };
    struct Point {
        double flops_per_byte, gflops;
        double share;  ///< of the time: the point's size
        std::size_t colour;
        std::string name;  ///< empty: not written
    };
    std::vector<Roof> roofs;
    std::vector<Point> points;
};
std::string roofline_chart(const Roofline& chart);

}  // namespace pumice::report
