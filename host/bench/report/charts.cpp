#include "bench/report/charts.hpp"

#include <algorithm>
#include <cmath>
#include <span>

#include <fmt/format.h>

#include "bench/report/page.hpp"

namespace pumice::report {
namespace {

constexpr double kWidth = 460;  // units of the drawing: narrow, so that letters stay readable on a phone

std::string begin(double height, const std::string& description) {
    return fmt::format("<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\">\n", kWidth, height,
                       escaped(description));
}

std::string text(double x, double y, const std::string& words, const char* anchor = "start", const char* kind = "t") {
    return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" class=\"{}\">{}</text>\n", x, y, anchor, kind,
                       escaped(words));
}

/// A value without more digits than it needs: "0.01", "100".
std::string tick(double value) {
    return value >= 1000 ? fmt::format("{:g}k", value / 1000) : fmt::format("{:g}", value);
}

}  // namespace

std::string bar_chart(const std::vector<BarGroup>& groups, bool one_scale, const std::string& description) {
    constexpr double kLabel = 110, kBar = 13, kGap = 4;
    std::string inside;
    double y = 0, longest = 0;
    for (const BarGroup& group : groups) {
        y += 17;
        inside += text(0, y - 4, group.heading, "start", "t h");
        if (!one_scale) longest = 0;
        for (const BarGroup& counted : one_scale ? std::span(groups) : std::span(&group, 1))
            for (const auto& bar : counted.bars) longest = std::max(longest, bar.value);
        for (const auto& bar : group.bars) {
            const double width = longest > 0 ? std::max(1.0, bar.value / longest * (kWidth - kLabel)) : 1;
            inside += fmt::format(
                "<rect x=\"0\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.0f}\" rx=\"2\" class=\"c{}\"><title>{}</title></rect>\n",
                y, width, kBar, bar.colour % kColours, escaped(group.heading + ": " + bar.label));
            inside += text(width + 6, y + kBar - 2, bar.label);
            y += kBar + kGap;
        }
        y += 5;
    }
    return begin(y, description) + inside + "</svg>\n";
}

std::string stacked_chart(const std::vector<StackedBar>& bars, const std::string& description) {
    constexpr double kBar = 16;
    std::string inside;
    double y = 0;
    for (const StackedBar& bar : bars) {
        y += 17;
        inside += text(0, y - 4, bar.heading, "start", "t h");
        double whole = 0, x = 0;
        for (const auto& part : bar.parts) whole += part.value;
        for (const auto& part : bar.parts) {
            const double width = whole > 0 ? part.value / whole * kWidth : 0;
            if (width < 0.2) continue;
            inside += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.0f}\" class=\"c{}\">"
                                  "<title>{}: {:.0f}%</title></rect>\n",
                                  x, y, width, kBar, part.colour % kColours, escaped(part.name),
                                  100 * part.value / whole);
            x += width;
        }
        y += kBar + 8;
    }
    return begin(y, description) + inside + "</svg>\n";
}

std::string roofline_chart(const Roofline& chart) {
    constexpr double kLeft = 40, kRight = 8, kTop = 20, kBottom = 34, kHeight = 320;
    double x0 = 0.05, x1 = 1000, y0 = 1e9, y1 = 1;
    for (const auto& roof : chart.roofs) y1 = std::max(y1, roof.gflops * 1.5);
    for (const auto& p : chart.points) {
        if (!(p.flops_per_byte > 0 && p.gflops > 0)) continue;
        x0 = std::min(x0, p.flops_per_byte), x1 = std::max(x1, p.flops_per_byte * 1.5);
        y0 = std::min(y0, p.gflops / 1.5), y1 = std::max(y1, p.gflops * 1.5);
    }
    y0 = std::max(std::min(y0, y1 / 100), y1 * 1e-5);
    const auto px = [&](double v) {
        return kLeft + std::log(std::clamp(v, x0, x1) / x0) / std::log(x1 / x0) * (kWidth - kLeft - kRight);
    };
    const auto py = [&](double v) {
        return kHeight - kBottom - std::log(std::clamp(v, y0, y1) / y0) / std::log(y1 / y0) * (kHeight - kTop - kBottom);
    };
    std::string svg = begin(kHeight, "Roofline: rate of each kernel against its arithmetic intensity");
    const auto line = [&](double ax, double ay, double bx, double by, const std::string& kind) {
        svg += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" class=\"{}\"/>\n", ax, ay, bx, by,
                           kind);
    };
    for (double v = std::pow(10, std::ceil(std::log10(x0))); v <= x1; v *= 10) {
        line(px(v), kTop, px(v), kHeight - kBottom, "grid");
        svg += text(px(v), kHeight - kBottom + 14, tick(v), "middle", "t m");
    }
    for (double v = std::pow(10, std::ceil(std::log10(y0))); v <= y1; v *= 10) {
        line(kLeft, py(v), kWidth - kRight, py(v), "grid");
        svg += text(kLeft - 5, py(v) + 4, tick(v), "end", "t m");
    }
    svg += text(kWidth - kRight, kHeight - 4, "FLOP a byte", "end", "t m");
    svg += text(0, 11, "GFLOP/s", "start", "t m");
    for (const auto& roof : chart.roofs) {
        const double ridge = roof.gflops / roof.gbps, from = std::max(x0, y0 / roof.gbps);
        const std::string kind = fmt::format("roof s{}", roof.colour % kColours);
        if (from < ridge) line(px(from), py(from * roof.gbps), px(ridge), py(roof.gflops), kind);
        line(px(std::max(x0, ridge)), py(roof.gflops), px(x1), py(roof.gflops), kind);
    }
    std::vector<std::pair<double, double>> written;  // where names stand
    for (const auto& p : chart.points) {
        if (!(p.flops_per_byte > 0 && p.gflops >= y0)) continue;
        const double x = px(p.flops_per_byte), y = py(p.gflops), r = 3 + 9 * std::sqrt(std::clamp(p.share, 0.0, 1.0));
        svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\" class=\"dot c{}\"><title>{}: {:.1f} GFLOP/s, "
                           "{:.0f}% of the time</title></circle>\n",
                           x, y, r, p.colour % kColours, escaped(p.name), p.gflops, 100 * p.share);
        if (p.name.empty() || p.share < 0.02) continue;
        double at = y + 4;
        // Down, until no other name is there.
        for (bool free = false; !free;) {
            free = true;
            for (const auto& [wx, wy] : written)
                if (std::fabs(wx - x) < 90 && std::fabs(wy - at) < 12) at = wy + 12.5, free = false;
        }
        if (at > kHeight - kBottom) continue;
        written.emplace_back(x, at);
        const bool left = x > kWidth * 0.7;
        svg += text(left ? x - r - 3 : x + r + 3, at, p.name, left ? "end" : "start");
    }
    return svg + "</svg>\n";
}

}  // namespace pumice::report
