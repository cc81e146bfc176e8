// `benchfs truncate`: sets the size of files, as coreutils' truncate does.
#include <fcntl.h>

#include <cerrno>
#include <limits>

#include "base/text.hpp"
#include "files.hpp"
#include "mode.hpp"

namespace benchfs::tools {
namespace {

using Words = std::vector<std::string>;

/// A size as the command line has it: "10M", "+1K", "%4096".
struct Change {
  enum class Kind { to, by_more, by_less, at_most, at_least, down_to_multiple, up_to_multiple };
  Kind kind = Kind::to;
  std::uint64_t bytes = 0;
};

/// The factor of "K", "KB", "KiB" and so on; 0: there is no such suffix.
std::uint64_t factor_of(std::string_view suffix) {
  if (suffix.empty()) return 1;
  const std::size_t power = std::string_view("KMGTPE").find(suffix.front());
  const std::string_view rest = suffix.substr(1);
  const bool decimal = rest == "B";
  if (power == std::string_view::npos || (!rest.empty() && !decimal && rest != "iB")) return 0;
  std::uint64_t factor = 1;
  for (std::size_t i = 0; i <= power; ++i) factor *= decimal ? 1000 : 1024;
  return factor;
}

std::optional<Change> change_of(std::string_view text) {
  using Kind = Change::Kind;
  Change change;
  if (!text.empty()) {
    switch (text.front()) {
      case '+':
        change.kind = Kind::by_more;
        break;
      case '-':
        change.kind = Kind::by_less;
        break;
      case '<':
        change.kind = Kind::at_most;
        break;
      case '>':
        change.kind = Kind::at_least;
        break;
      case '/':
        change.kind = Kind::down_to_multiple;
        break;
      case '%':
        change.kind = Kind::up_to_multiple;
        break;
      default:
        break;
    }
    if (change.kind != Kind::to) text.remove_prefix(1);
  }
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  if (digits == 0) return std::nullopt;
  for (const char digit : text.substr(0, digits)) {
    if (__builtin_mul_overflow(change.bytes, 10, &change.bytes) ||
        __builtin_add_overflow(change.bytes, digit - '0', &change.bytes)) {
      return std::nullopt;
    }
  }
  const std::uint64_t factor = factor_of(text.substr(digits));
  if (factor == 0 || __builtin_mul_overflow(change.bytes, factor, &change.bytes)) {
    return std::nullopt;
  }
  const bool multiple =
      change.kind == Kind::down_to_multiple || change.kind == Kind::up_to_multiple;
  if (multiple && change.bytes == 0) return std::nullopt;
  return change;
}

/// The new size; beyond all sizes if it is too large for a number.
std::uint64_t changed(std::uint64_t size, const Change& change) {
  using Kind = Change::Kind;
  constexpr std::uint64_t kTooLarge = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t result = 0;
  switch (change.kind) {
    case Kind::to:
      return change.bytes;
    case Kind::by_more:
      return __builtin_add_overflow(size, change.bytes, &result) ? kTooLarge : result;
    case Kind::by_less:
      return size - std::min(size, change.bytes);
    case Kind::at_most:
      return std::min(size, change.bytes);
    case Kind::at_least:
      return std::max(size, change.bytes);
    case Kind::down_to_multiple:
      return size - size % change.bytes;
    case Kind::up_to_multiple:
      break;
  }
  const std::uint64_t above = size % change.bytes == 0 ? 0 : change.bytes - size % change.bytes;
  return __builtin_add_overflow(size, above, &result) ? kTooLarge : result;
}

int set_size(Files& files, const std::string& path, const Change& change, bool create) {
  benchfs_file_t* file = nullptr;
  const int flags = O_WRONLY | (create ? O_CREAT : 0);
  int error = benchfs_open(files, path.c_str(), flags, 0666 & ~umask_now(), 0, &file);
  if (error != 0) return error == -ENOENT && !create ? 0 : error;
  Stat st{};
  if (change.kind != Change::Kind::to) error = benchfs_fstat(file, &st);
  if (error == 0) error = benchfs_ftruncate(file, changed(st.size, change));
  const int closed = benchfs_close(file);
  return error != 0 ? error : closed;
}

int truncate(Files& files, const Words& words, const std::string& size, bool create) {
  const auto change = change_of(size);
  if (!change) {
    print_error("truncate", size + ": not a size");
    return kUsage;
  }
  for (const std::string& word : words) {
    const std::string path = path_of(word);
    const int error = set_size(files, path, *change, create);
    if (error != 0) files.complain(path, error);
  }
  return files.status();
}

}  // namespace

Command make_truncate(CLI::App& benchfs) {
  auto size = std::make_shared<std::string>();
  auto no_create = std::make_shared<bool>(false);
  auto words = std::make_shared<Words>();
  CLI::App* app = benchfs.add_subcommand("truncate", "Set the size of files");
  app->add_option("PATH", *words, "Files; made if they are not there")->type_name("");
  app->add_option("-s,--size", *size, "Bytes, or a change of the size")
      ->required()
      ->type_name("SIZE");
  app->add_flag("-c,--no-create", *no_create, "Makes no files");
  app->footer(
      "SIZE is a number with K, M, G, T, P, E (powers of 1024; also KiB; KB is 1000) or without. "
      "In front\n"
      "of it + means longer by, - shorter by, < at most, > at least, / down to a multiple of, % up "
      "to one.\n"
      "A size that begins with a minus is given as --size=-1K.");
  return files_command(app, std::make_shared<Where>(), words, 1,
                       [size, no_create](Files& files, const Words& given) {
                         return truncate(files, given, *size, !*no_create);
                       });
}

}  // namespace benchfs::tools
