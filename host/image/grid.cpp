#include "image/grid.hpp"

#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <pango/pangocairo.h>

namespace pumice::host {
namespace {

constexpr int kLargestSide = 32767;  // of an image surface of cairo's

struct Destroy {
    void operator()(cairo_t* c) const { cairo_destroy(c); }
    void operator()(cairo_surface_t* s) const { cairo_surface_destroy(s); }
    void operator()(PangoLayout* l) const { g_object_unref(l); }
    void operator()(PangoFontDescription* f) const { pango_font_description_free(f); }
};
template <class T>
using Owned = std::unique_ptr<T, Destroy>;

/// A piece of white paper.
class Canvas {
public:
    Canvas(int width, int height)
        : surface_(cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height)), cairo_(cairo_create(surface_.get())) {
        cairo_set_source_rgb(cairo_.get(), 1, 1, 1);
        cairo_paint(cairo_.get());
    }
    bool good() const { return cairo_status(cairo_.get()) == CAIRO_STATUS_SUCCESS; }

    /// Text of lines at most `width` pixels long, centred.
    Owned<PangoLayout> layout(const std::string& text, int width, int font_pixels) const {
        Owned<PangoLayout> made(pango_cairo_create_layout(cairo_.get()));
        const Owned<PangoFontDescription> font(pango_font_description_from_string("Sans"));
        pango_font_description_set_absolute_size(font.get(), font_pixels * PANGO_SCALE);
        pango_layout_set_font_description(made.get(), font.get());
        pango_layout_set_width(made.get(), width * PANGO_SCALE);
        pango_layout_set_wrap(made.get(), PANGO_WRAP_WORD_CHAR);
        pango_layout_set_alignment(made.get(), PANGO_ALIGN_CENTER);
        pango_layout_set_text(made.get(), text.data(), static_cast<int>(text.size()));
        return made;
    }
    static int height_of(PangoLayout& layout) {
        int height = 0;
        pango_layout_get_pixel_size(&layout, nullptr, &height);
        return height;
    }
    /// Centred in the height of the box, too.
    void text(const std::string& text, int x, int y, int width, int height, int font_pixels) {
        const auto made = layout(text, width, font_pixels);
        cairo_set_source_rgb(cairo_.get(), 0, 0, 0);
        cairo_move_to(cairo_.get(), x, y + (height - height_of(*made)) / 2);
        pango_cairo_show_layout(cairo_.get(), made.get());
    }
    void picture(const DecodedImage& image, int x, int y) {
        cairo_surface_flush(surface_.get());
        unsigned char* const data = cairo_image_surface_get_data(surface_.get());
        const auto stride = static_cast<std::size_t>(cairo_image_surface_get_stride(surface_.get()));
        for (std::size_t row = 0; row < image.height; ++row) {
            auto* to = reinterpret_cast<std::uint32_t*>(data + (static_cast<std::size_t>(y) + row) * stride) + x;
            const std::uint8_t* from = image.pixels.data() + row * image.width * image.channels;
            for (std::size_t i = 0; i < image.width; ++i, from += image.channels)
                *to++ = std::uint32_t(from[0]) << 16 | std::uint32_t(from[1]) << 8 | from[2];
        }
        cairo_surface_mark_dirty(surface_.get());
    }
    DecodedImage pixels() const {
        cairo_surface_flush(surface_.get());
        DecodedImage out{static_cast<std::uint32_t>(cairo_image_surface_get_width(surface_.get())),
                         static_cast<std::uint32_t>(cairo_image_surface_get_height(surface_.get())), 3, {}};
        const auto stride = static_cast<std::size_t>(cairo_image_surface_get_stride(surface_.get()));
        const unsigned char* const data = cairo_image_surface_get_data(surface_.get());
        out.pixels.reserve(std::size_t(3) * out.width * out.height);
        for (std::size_t y = 0; y < out.height; ++y) {
            const auto* from = reinterpret_cast<const std::uint32_t*>(data + y * stride);
            for (std::size_t x = 0; x < out.width; ++x)
                for (const int shift : {16, 8, 0}) out.pixels.push_back(static_cast<std::uint8_t>(from[x] >> shift));
        }
        return out;
    }

private:
    Owned<cairo_surface_t> surface_;
    Owned<cairo_t> cairo_;
};

/// Where everything lies, in pixels.
struct Plan {
    int cell_width = 0, cell_height = 0, font = 0, gap = 0;
    int label_width = 0;    ///< of the rows' labels
    int column_height = 0;  ///< of the columns' labels
    int page_height = 0;    ///< of a page's label
    int width = 0, height = 0;

    int page_top(std::size_t page) const { return static_cast<int>(page) * (height_of_page + gap); }
    int height_of_page = 0;
};

Plan plan_of(const Grid& grid) {
    Plan p;
    for (const DecodedImage& cell : grid.cells) {
        p.cell_width = std::max(p.cell_width, static_cast<int>(cell.width));
        p.cell_height = std::max(p.cell_height, static_cast<int>(cell.height));
    }
    p.font = std::clamp(p.cell_width / 14, 11, 40);
    p.gap = std::max(2, p.font / 3);
    const Canvas scratch(1, 1);
    const auto tallest = [&](const std::vector<std::string>& labels, int width, int font) {
        int height = 0;
        for (const std::string& label : labels)
            height = std::max(height, Canvas::height_of(*scratch.layout(label, width, font)) + 2 * p.gap);
        return height;
    };
    if (!grid.rows.empty()) p.label_width = std::max(6 * p.font, p.cell_width / 2);
    p.column_height = tallest(grid.columns, p.cell_width, p.font);
    p.cell_height = std::max(p.cell_height, tallest(grid.rows, p.label_width, p.font));
    const auto columns = static_cast<int>(grid.column_count()), rows = static_cast<int>(grid.row_count());
    p.width = p.label_width + columns * (p.cell_width + p.gap) + p.gap;
    p.page_height = tallest(grid.pages, p.width, p.font * 5 / 4);
    p.height_of_page = p.page_height + p.column_height + rows * (p.cell_height + p.gap) + p.gap;
    p.height = p.page_top(grid.page_count() - 1) + p.height_of_page;
    return p;
}

void draw_page(const Grid& grid, std::size_t page, const Plan& p, Canvas& canvas) {
    const int top = p.page_top(page), first_row = top + p.page_height + p.column_height + p.gap;
    if (!grid.pages.empty()) canvas.text(grid.pages[page], 0, top, p.width, p.page_height, p.font * 5 / 4);
    const auto column_x = [&](std::size_t column) {
        return p.label_width + p.gap + static_cast<int>(column) * (p.cell_width + p.gap);
    };
    for (std::size_t column = 0; column < grid.columns.size(); ++column)
        canvas.text(grid.columns[column], column_x(column), top + p.page_height, p.cell_width, p.column_height, p.font);
    for (std::size_t row = 0; row < grid.row_count(); ++row) {
        const int y = first_row + static_cast<int>(row) * (p.cell_height + p.gap);
        if (!grid.rows.empty()) canvas.text(grid.rows[row], 0, y, p.label_width, p.cell_height, p.font);
        for (std::size_t column = 0; column < grid.column_count(); ++column) {
            const DecodedImage& cell = grid.cells[(page * grid.row_count() + row) * grid.column_count() + column];
            canvas.picture(cell, column_x(column) + (p.cell_width - static_cast<int>(cell.width)) / 2,
                           y + (p.cell_height - static_cast<int>(cell.height)) / 2);
        }
    }
}

}  // namespace

Expected<DecodedImage> draw_grid(const Grid& grid) {
    double width = 1, height = 1;  // before anything is drawn, so that sums of int do not overflow
    for (const DecodedImage& cell : grid.cells) {
        width = std::max(width, 1.0 * cell.width);
        height = std::max(height, 1.0 * cell.height);
    }
    const auto too_large = [](double w, double h) {
        return Failure{PUMICE_INVALID_ARGUMENT,
                       fmt::format("a grid of {:.0f}x{:.0f} pixels: at most {} a side; ask for fewer or smaller pictures",
                                   w, h, kLargestSide)};
    };
    width *= double(grid.column_count());
    height *= double(grid.row_count() * grid.page_count());
    if (width > kLargestSide || height > kLargestSide) return too_large(width, height);
    const Plan plan = plan_of(grid);
    if (plan.width > kLargestSide || plan.height > kLargestSide) return too_large(plan.width, plan.height);
    Canvas canvas(plan.width, plan.height);
    if (!canvas.good())
        return Failure{PUMICE_OUT_OF_HOST_MEMORY, fmt::format("no memory for a grid of {}x{} pixels", plan.width, plan.height)};
    for (std::size_t page = 0; page < grid.page_count(); ++page) draw_page(grid, page, plan, canvas);
    return canvas.pixels();
}

}  // namespace pumice::host
