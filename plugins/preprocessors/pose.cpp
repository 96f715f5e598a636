// Draws the skeletons of an OpenPose JSON file, in the colours that pose networks are trained with.
#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <iterator>
#include <string>

#include <nlohmann/json.hpp>

#include "methods.hpp"

namespace pumice::preprocessors {
namespace {

struct Point {
    double x = 0, y = 0;
    bool seen = false;
};
using Colour = std::array<std::uint8_t, 3>;

/// Hues all round, as OpenPose's display has them: of joint i, and of limb i.
constexpr std::array<Colour, 18> kColours = {{{255, 0, 0},
                                              {255, 85, 0},
                                              {255, 170, 0},
                                              {255, 255, 0},
                                              {170, 255, 0},
                                              {85, 255, 0},
                                              {0, 255, 0},
                                              {0, 255, 85},
                                              {0, 255, 170},
                                              {0, 255, 255},
                                              {0, 170, 255},
                                              {0, 85, 255},
                                              {0, 0, 255},
                                              {85, 0, 255},
                                              {170, 0, 255},
                                              {255, 0, 255},
                                              {255, 0, 170},
                                              {255, 0, 85}}};
/// Pairs of the 18 COCO joints: nose, neck, right and left arm, right and left leg, eyes, ears.
constexpr std::array<std::array<std::uint8_t, 2>, 17> kLimbs = {{{1, 2},
                                                                 {1, 5},
                                                                 {2, 3},
                                                                 {3, 4},
                                                                 {5, 6},
                                                                 {6, 7},
                                                                 {1, 8},
                                                                 {8, 9},
                                                                 {9, 10},
                                                                 {1, 11},
                                                                 {11, 12},
                                                                 {12, 13},
                                                                 {1, 0},
                                                                 {0, 14},
                                                                 {14, 16},
                                                                 {0, 15},
                                                                 {15, 17}}};
/// The joint of BODY_25 that is a COCO joint.
constexpr std::array<std::uint8_t, 18> kFromBody25 = {0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18};

/// From the file's coordinates to pixels.
struct Scale {
    double x = 1, y = 1;
};

class Canvas {
public:
    explicit Canvas(sdk::Picture& picture) : picture_(picture) {}

    /// An ellipse over the line from a to b, `width` pixels to each side.
    void limb(const Point& a, const Point& b, double width, const Colour& colour) {
        const double dx = b.x - a.x, dy = b.y - a.y, length = std::sqrt(dx * dx + dy * dy);
        const double half = std::max(length / 2, width), reach = half + width;
        const double ux = length > 0 ? dx / length : 1, uy = length > 0 ? dy / length : 0;
        const double cx = (a.x + b.x) / 2, cy = (a.y + b.y) / 2;
        paint(cx, cy, reach, colour, [&](double x, double y) {
            const double along = (x * ux + y * uy) / half, across = (y * ux - x * uy) / width;
            return along * along + across * across <= 1;
        });
    }
    void disc(const Point& p, double radius, const Colour& colour) {
        paint(p.x, p.y, radius + 1, colour, [&](double x, double y) { return x * x + y * y <= radius * radius; });
    }

private:
    template <class Inside>
    void paint(double cx, double cy, double reach, const Colour& colour, Inside&& inside) {
        const auto low = [&](double v, std::uint32_t side) {
            return static_cast<std::uint32_t>(std::clamp(std::floor(v - reach), 0.0, static_cast<double>(side)));
        };
        const auto high = [&](double v, std::uint32_t side) {
            return static_cast<std::uint32_t>(std::clamp(std::ceil(v + reach) + 1, 0.0, static_cast<double>(side)));
        };
        for (std::uint32_t y = low(cy, picture_.height()); y < high(cy, picture_.height()); ++y)
            for (std::uint32_t x = low(cx, picture_.width()); x < high(cx, picture_.width()); ++x)
                if (inside(x - cx, y - cy))
                    std::copy(colour.begin(), colour.end(), picture_.row(y) + std::size_t{3} * x);
    }
    sdk::Picture& picture_;
};

/// Triples x, y, confidence; absent ones have confidence 0.
std::vector<Point> points_of(const nlohmann::json& person, const char* key, const Scale& scale) {
    std::vector<Point> points;
    const auto list = person.find(key);
    if (list == person.end() || !list->is_array()) return points;
    const auto number = [&](std::size_t i) { return (*list)[i].is_number() ? (*list)[i].get<double>() : 0.0; };
    for (std::size_t i = 0; i + 2 < list->size(); i += 3) {
        const Point p{number(i) * scale.x, number(i + 1) * scale.y, number(i + 2) > 0};
        points.push_back({p.x, p.y, p.seen && std::isfinite(p.x) && std::isfinite(p.y)});
    }
    return points;
}

void draw_body(Canvas& canvas, std::vector<Point> joints, double width) {
    if (joints.size() >= 25) {
        std::vector<Point> coco;
        for (const std::uint8_t i : kFromBody25) coco.push_back(joints[i]);
        joints = std::move(coco);
    }
    if (joints.size() < 18) return;
    for (std::size_t i = 0; i < kLimbs.size(); ++i) {
        const Point &a = joints[kLimbs[i][0]], &b = joints[kLimbs[i][1]];
        // Limbs are dimmer than joints, so that these stay visible where they meet.
        Colour dim = kColours[i];
        for (std::uint8_t& c : dim) c = static_cast<std::uint8_t>(c * 6 / 10);
        if (a.seen && b.seen) canvas.limb(a, b, width, dim);
    }
    for (std::size_t i = 0; i < 18; ++i)
        if (joints[i].seen) canvas.disc(joints[i], width, kColours[i]);
}

/// Twenty-one points: the wrist, and four a finger.
void draw_hand(Canvas& canvas, const std::vector<Point>& points, double width) {
    if (points.size() < 21) return;
    for (std::size_t finger = 0; finger < 5; ++finger)
        for (std::size_t i = 0; i < 4; ++i) {
            const Point &a = i == 0 ? points[0] : points[4 * finger + i], &b = points[4 * finger + i + 1];
            if (a.seen && b.seen) canvas.limb(a, b, width / 2, kColours[(finger * 4 + i) * 17 / 19]);
        }
    for (const Point& p : points)
        if (p.seen) canvas.disc(p, width, {0, 0, 255});
}

/// The largest coordinate of anybody: not above 1 where coordinates are parts of the canvas.
double largest(const nlohmann::json& people) {
    double most = 0;
    for (const auto& person : people)
        for (const Point& p : points_of(person, "pose_keypoints_2d", {}))
            if (p.seen) most = std::max({most, p.x, p.y});
    return most;
}

void pose(Drawing& d) {
    const std::string file = d.params[0].text;
    const double width = d.params[1].number;
    if (file.empty())
        return d.job.fail(PUMICE_SDK_INVALID_ARGUMENT, "it needs keypoints: preprocessor.keypoints=FILE.json");
    std::ifstream in(file, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    if (!in) return d.job.fail(PUMICE_SDK_IO, "cannot read " + file);
    nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
    // Editors write a list of canvases, of which the first counts.
    if (json.is_array() && !json.empty() && json[0].is_object()) json = nlohmann::json(json[0]);
    if (!json.is_object() || !json.contains("people") || !json["people"].is_array())
        return d.job.fail(PUMICE_SDK_BAD_FORMAT, file + " is no OpenPose JSON: it has no list \"people\"");
    const auto& people = json["people"];
    const double w = d.out.width(), h = d.out.height();
    Scale scale;
    const auto side = [&](const char* key) {
        const auto found = json.find(key);
        return found != json.end() && found->is_number() ? found->get<double>() : 0.0;
    };
    if (largest(people) <= 1) {
        scale = {w, h};
    } else if (side("canvas_width") > 0 && side("canvas_height") > 0) {
        scale = {w / side("canvas_width"), h / side("canvas_height")};
    }
    Canvas canvas(d.out);
    for (const auto& person : people) {
        if (!person.is_object()) continue;
        draw_body(canvas, points_of(person, "pose_keypoints_2d", scale), width);
        draw_hand(canvas, points_of(person, "hand_left_keypoints_2d", scale), width);
        draw_hand(canvas, points_of(person, "hand_right_keypoints_2d", scale), width);
        for (const Point& p : points_of(person, "face_keypoints_2d", scale))
            if (p.seen) canvas.disc(p, std::max(1.0, width * 3 / 4), {255, 255, 255});
    }
}

const pumice_param kKeypoints = {sizeof(pumice_param),
                                 PUMICE_PARAM_FILE,
                                 "keypoints",
                                 "people in OpenPose's JSON",
                                 nullptr,
                                 0,
                                 0,
                                 0,
                                 0,
                                 nullptr,
                                 nullptr};
const pumice_param kWidth = number("width", "half the width of a limb", "pixels", 1, 64, 4);
const pumice_param* const kParams[] = {&kKeypoints, &kWidth};

}  // namespace

std::vector<Preprocessor> pose_methods() {
    return {{{sizeof(pumice_preprocessor_descriptor), PUMICE_PREPROCESSOR_NO_PICTURE, "pose", "Pose",
              "skeletons of a JSON file, as OpenPose draws them", 2, 0, kParams},
             pose}};
}

}  // namespace pumice::preprocessors
