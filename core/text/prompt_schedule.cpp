#include "text/prompt_schedule.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <utility>

#include "text/prompt.hpp"
#include "text/regex.hpp"
#include "text/unicode.hpp"

namespace pumice {
namespace {

constexpr std::uint32_t deepest_nesting = 200;
constexpr std::uint32_t most_steps = 10000;

Status check_prompt(std::string_view prompt) {
    if (prompt.size() > largest_prompt_bytes)
        return Error{Code::invalid_argument, "the prompt has " + std::to_string(prompt.size()) + " bytes; at most " +
                                                 std::to_string(largest_prompt_bytes) + " are allowed"};
    return check_utf8(prompt);
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

std::size_t count_digits(std::string_view text) {
    return static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_digit) - text.begin());
}

/// [+-]? digits with at most one dot [exponent]? and nothing else; the exponent only where `exponent`.
bool is_number(std::string_view text, bool exponent) {
    if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
    const std::size_t whole = count_digits(text);
    text.remove_prefix(whole);
    std::size_t fraction = 0;
    if (text.starts_with('.')) {
        fraction = count_digits(text.substr(1));
        text.remove_prefix(1 + fraction);
    }
    if (whole + fraction == 0) return false;
    if (exponent && (text.starts_with('e') || text.starts_with('E'))) {
        text.remove_prefix(1);
        if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
        return !text.empty() && count_digits(text) == text.size();
    }
    return text.empty();
}

/// Of text for which is_number holds. What no double holds becomes infinite, or 0.
double to_number(std::string_view text) {
    if (text.starts_with('+')) text.remove_prefix(1);
    double value = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc::result_out_of_range) {
        const std::size_t exponent = text.find_first_of("eE");
        const bool tiny = exponent != std::string_view::npos && text.substr(exponent + 1).starts_with('-');
        value = tiny ? 0.0 : HUGE_VAL;
        if (text.starts_with('-')) value = -value;
    }
    return value;
}

/// The prompt as a tree: texts, and brackets with what stands between their separators.
struct Node {
    enum class Kind : std::uint8_t { text, group, scheduled, alternate };
    using List = std::vector<std::uint32_t>;  ///< indices of nodes

    Kind kind = Kind::text;
    char open = 0;               ///< of a group: ( or [
    std::uint32_t depth = 0;     ///< of brackets within
    std::string_view text;       ///< of a text; of a scheduled one: `when`
    std::vector<List> segments;  ///< group: between colons; scheduled: from (or none) and to; alternate: the choices
};

/// Reads a prompt in one pass. A bracket becomes a node when it closes, if all in it is well-formed; otherwise it, and
/// every bracket open around it, is text. Equal to the reference's grammar, which lets a bracket that does not belong
/// to one of its forms stand at the top only, and | nowhere but in an alternate.
class ScheduleReader {
public:
    /// False if the prompt does not fit the grammar at all.
    Result<bool> read(std::string_view prompt) {
        for (std::size_t at = 0; at < prompt.size();) {
            const char c = prompt[at];
            if (c == '\\' && (at + 1 == prompt.size() || prompt[at + 1] == '\n')) return false;
            if (std::string_view("\\[](:)|").find(c) == std::string_view::npos || c == '\\') {
                at += add_plain(prompt.substr(at));
                continue;
            }
            const std::string_view token = prompt.substr(at++, 1);
            if (c == '(' || c == '[') {
                open_.push_back({token, {{}}, {}});
            } else if (c == ')' || c == ']') {
                PUMICE_TRY(close(token));
            } else if (open_.empty()) {
                add_text(token);
            } else {
                open_.back().segments.emplace_back();
                open_.back().separators.push_back(token);
            }
        }
        give_up_open();
        return !stray_bar_;
    }

    const std::vector<Node>& nodes() const { return nodes_; }
    const Node::List& top() const { return top_; }

private:
    struct Open {
        std::string_view bracket;
        std::vector<Node::List> segments;
        std::vector<std::string_view> separators;  ///< one fewer than segments; each ":" or "|"

        std::size_t count(char c) const {
            return static_cast<std::size_t>(
                std::count_if(separators.begin(), separators.end(), [c](auto text) { return text[0] == c; }));
        }
    };

    Node::List& list() { return open_.empty() ? top_ : open_.back().segments.back(); }

    void add(Node node) {
        list().push_back(static_cast<std::uint32_t>(nodes_.size()));
        nodes_.push_back(std::move(node));
    }

    void add_text(std::string_view text) {
        if (text == "|" && open_.empty()) stray_bar_ = true;
        add({Node::Kind::text, 0, 0, text, {}});
    }

    /// Text up to the next bracket or separator, with what backslashes escape; returns its size.
    std::size_t add_plain(std::string_view rest) {
        std::size_t size = 0;
        while (size < rest.size() && std::string_view("[](:)|").find(rest[size]) == std::string_view::npos) {
            if (rest[size] != '\\') {
                ++size;
            } else if (size + 1 == rest.size() || rest[size + 1] == '\n') {
                break;
            } else {
                size += 2;
            }
        }
        add_text(rest.substr(0, size));
        return size;
    }

    Status close(std::string_view bracket) {
        const char expected = bracket[0] == ')' ? '(' : '[';
        std::optional<Node> node;
        if (!open_.empty() && open_.back().bracket[0] == expected) node = make_node(open_.back());
        if (!node) {
            give_up_open();
            add_text(bracket);
            return {};
        }
        for (const auto& segment : node->segments)
            for (const std::uint32_t child : segment) node->depth = std::max(node->depth, nodes_[child].depth);
        if (++node->depth > deepest_nesting)
            return Error{Code::invalid_argument,
                         "the prompt's brackets are nested more than " + std::to_string(deepest_nesting) + " deep"};
        open_.pop_back();
        add(std::move(*node));
        return {};
    }

    std::optional<Node> make_node(const Open& open) const {
        const std::size_t colons = open.count(':'), bars = open.count('|');
        const bool round = open.bracket[0] == '(';
        if (bars == 0 && colons <= (round ? 1u : 0u))
            return Node{Node::Kind::group, open.bracket[0], 0, {}, open.segments};
        if (round) return std::nullopt;
        if (colons == 0) return Node{Node::Kind::alternate, 0, 0, {}, open.segments};
        if (bars > 0 || colons > 2) return std::nullopt;

        const Node::List& last = open.segments.back();
        if (last.size() != 1 || nodes_[last[0]].kind != Node::Kind::text) return std::nullopt;
        const std::string_view when = strip(nodes_[last[0]].text);
        if (!is_number(when, true)) return std::nullopt;
        Node node{Node::Kind::scheduled, 0, 0, when, {open.segments.begin(), open.segments.end() - 1}};
        if (colons == 1) node.segments.insert(node.segments.begin(), Node::List{});
        return node;
    }

    /// All open brackets turn out to be text, as they are not closed or enclose what is not well-formed.
    void give_up_open() {
        std::vector<Open> given_up = std::exchange(open_, {});
        for (const Open& open : given_up) {
            add_text(open.bracket);
            for (std::size_t i = 0; i < open.segments.size(); ++i) {
                if (i > 0) add_text(open.separators[i - 1]);
                top_.insert(top_.end(), open.segments[i].begin(), open.segments[i].end());
            }
        }
    }

    std::vector<Node> nodes_;
    Node::List top_;
    std::vector<Open> open_;
    bool stray_bar_ = false;
};

/// The last step that still has `from`, as the reference computes it; may lie outside of the pass.
double last_step_of(std::string_view when, const ScheduleOptions& options) {
    const bool second_pass = options.hires_steps && !options.old_scheduling;
    const double steps = options.hires_steps && second_pass ? *options.hires_steps : options.steps;
    double value = to_number(when);
    if (options.old_scheduling) {
        value = value < 1 ? value * steps : value;
    } else if (when.find('.') != std::string_view::npos) {
        value = (value - (second_pass ? 1.0 : 0.0)) * steps;
    } else {
        value -= second_pass ? options.steps : 0;
    }
    return std::min(steps, std::trunc(value));
}

void append_text(const std::vector<Node>& nodes, const std::vector<double>& last_steps, const Node::List& list,
                 std::uint32_t step, std::string& out) {
    for (const std::uint32_t index : list) {
        const Node& node = nodes[index];
        switch (node.kind) {
            case Node::Kind::text:
                out += node.text;
                break;
            case Node::Kind::group:
                out += node.open;
                for (std::size_t i = 0; i < node.segments.size(); ++i) {
                    if (i > 0) out += ':';
                    append_text(nodes, last_steps, node.segments[i], step, out);
                }
                out += node.open == '(' ? ')' : ']';
                break;
            case Node::Kind::scheduled:
                append_text(nodes, last_steps, node.segments[step <= last_steps[index] ? 0 : 1], step, out);
                break;
            case Node::Kind::alternate:
                append_text(nodes, last_steps, node.segments[(step - 1) % node.segments.size()], step, out);
                break;
        }
    }
}

}  // namespace

Result<std::vector<WeightedPrompt>> split_and(std::string_view prompt) {
    PUMICE_TRY(check_prompt(prompt));
    PUMICE_ASSIGN(const Regex word, Regex::compile(R"((?<![\p{L}\p{N}_])AND(?![\p{L}\p{N}_]))"));
    PUMICE_ASSIGN(std::vector<Regex::Match> cuts, word.find_all(prompt));
    cuts.push_back({prompt.size(), prompt.size()});

    std::vector<WeightedPrompt> prompts;
    std::size_t start = 0;
    for (const auto [begin, end] : cuts) {
        const std::string_view text = strip_right(prompt.substr(start, begin - start));
        start = end;
        const std::size_t colon = text.rfind(':');
        const std::string_view weight = colon == std::string_view::npos ? "" : strip_left(text.substr(colon + 1));
        if (!is_number(weight, false)) {
            prompts.push_back({std::string(text), 1});
            continue;
        }
        const double value = to_number(weight);
        if (!std::isfinite(static_cast<float>(value)))
            return Error{Code::invalid_argument, "a weight after AND in the prompt is too large"};
        prompts.push_back({std::string(strip_right(text.substr(0, colon))), value});
    }
    return prompts;
}

Result<std::vector<ScheduledPrompt>> schedule_prompt(std::string_view prompt, const ScheduleOptions& options) {
    PUMICE_TRY(check_prompt(prompt));
    const std::uint32_t steps = options.old_scheduling ? options.steps : options.hires_steps.value_or(options.steps);
    if (steps < 1 || steps > most_steps)
        return Error{Code::invalid_argument, "a prompt's schedule takes 1 to " + std::to_string(most_steps) +
                                                 " steps, not " + std::to_string(steps)};
    ScheduleReader reader;
    PUMICE_ASSIGN(const bool fits, reader.read(prompt));
    if (!fits) return std::vector<ScheduledPrompt>{{steps, std::string(prompt)}};

    const std::vector<Node>& nodes = reader.nodes();
    std::vector<double> last_steps(nodes.size());
    std::set<std::uint32_t> ends{steps};
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        if (nodes[i].kind == Node::Kind::scheduled) {
            last_steps[i] = last_step_of(nodes[i].text, options);
            if (last_steps[i] >= 1) ends.insert(static_cast<std::uint32_t>(last_steps[i]));
        } else if (nodes[i].kind == Node::Kind::alternate) {
            for (std::uint32_t step = 1; step <= steps; ++step) ends.insert(step);
        }
    }
    std::vector<ScheduledPrompt> entries;
    for (const std::uint32_t step : ends) {
        entries.push_back({step, {}});
        append_text(nodes, last_steps, reader.top(), step, entries.back().text);
    }
    return entries;
}

const ScheduledPrompt& prompt_at(const std::vector<ScheduledPrompt>& entries, std::uint32_t call) {
    const auto found =
        std::find_if(entries.begin(), entries.end(), [call](const auto& entry) { return call <= entry.last_step; });
    return found == entries.end() ? entries.back() : *found;
}

}  // namespace pumice
