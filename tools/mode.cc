// Modes as POSIX describes them for chmod(1): octal digits, or clauses of who, operator, rights.
#include "mode.hpp"

#include <sys/stat.h>

#include <charconv>

namespace benchfs::tools {
namespace {

constexpr std::uint32_t kUser = 04700, kGroup = 02070, kOther = 01007;

/// Takes the letters of `who` from the text's beginning.
std::uint32_t take_who(std::string_view& text) {
  std::uint32_t who = 0;
  for (; !text.empty(); text.remove_prefix(1)) {
    switch (text.front()) {
      case 'u':
        who |= kUser;
        break;
      case 'g':
        who |= kGroup;
        break;
      case 'o':
        who |= kOther;
        break;
      case 'a':
        who |= kUser | kGroup | kOther;
        break;
      default:
        return who;
    }
  }
  return who;
}

/// Takes rights, as bits of everybody; or the letter of those whose rights are meant.
std::uint32_t take_rights(std::string_view& text, std::uint32_t mode, bool directory) {
  std::uint32_t rights = 0;
  const std::size_t whose = text.empty() ? text.npos : std::string_view("ogu").find(text.front());
  if (whose != std::string_view::npos) {
    text.remove_prefix(1);
    return ((mode >> (3 * whose)) & 7) * 0111;
  }
  for (; !text.empty(); text.remove_prefix(1)) {
    switch (text.front()) {
      case 'r':
        rights |= 0444;
        break;
      case 'w':
        rights |= 0222;
        break;
      case 'x':
        rights |= 0111;
        break;
      case 'X':
        if (directory || (mode & 0111) != 0) rights |= 0111;
        break;
      case 's':
        rights |= S_ISUID | S_ISGID;
        break;
      case 't':
        rights |= S_ISVTX;
        break;
      default:
        return rights;
    }
  }
  return rights;
}

}  // namespace

std::uint32_t umask_now() {
  const mode_t mask = umask(0);
  umask(mask);
  return mask;
}

std::optional<std::uint32_t> changed_mode(std::string_view text, std::uint32_t mode,
                                          bool directory) {
  if (text.empty()) return std::nullopt;
  if (text.front() >= '0' && text.front() <= '7') {
    std::uint32_t octal = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), octal, 8);
    if (error != std::errc() || end != text.data() + text.size() || octal > 07777) {
      return std::nullopt;
    }
    return octal;
  }
  for (;;) {
    std::uint32_t who = take_who(text);
    const std::uint32_t kept = who == 0 ? umask_now() : 0;
    if (who == 0) who = kUser | kGroup | kOther;
    if (text.empty()) return std::nullopt;
    while (!text.empty() && text.front() != ',') {
      const char operation = text.front();
      if (operation != '+' && operation != '-' && operation != '=') return std::nullopt;
      text.remove_prefix(1);
      const std::uint32_t rights = take_rights(text, mode, directory) & who & ~kept;
      // What lends the owner's rights goes with them, but for directories, as GNU chmod has it.
      if (operation == '=') mode &= ~(who & (directory ? 0777 : 06777));
      mode = operation == '-' ? mode & ~rights : mode | rights;
    }
    if (text.empty()) return mode;
    text.remove_prefix(1);
  }
}

}  // namespace benchfs::tools
