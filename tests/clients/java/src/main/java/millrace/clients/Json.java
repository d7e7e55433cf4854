package millrace.clients;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** As much JSON as the line protocol of tests/clients/README.md needs: maps, lists, strings, longs, booleans, null. */
final class Json {
  private final String text;
  private int at;

  private Json(String text) {
    this.text = text;
  }

  @SuppressWarnings("unchecked")
  static Map<String, Object> object(String line) {
    return (Map<String, Object>) new Json(line).value();
  }

  static String write(Object v) {
    if (v == null || v instanceof Number || v instanceof Boolean) return String.valueOf(v);
    if (v instanceof Map<?, ?> m) {
      List<String> parts = new ArrayList<>();
      m.forEach((k, x) -> parts.add(Harness.quote(k.toString()) + ":" + write(x)));
      return "{" + String.join(",", parts) + "}";
    }
    if (v instanceof List<?> l) return "[" + String.join(",", l.stream().map(Json::write).toList()) + "]";
    return Harness.quote(v.toString());
  }

  private char peek() {
    while (Character.isWhitespace(text.charAt(at))) at++;
    return text.charAt(at);
  }

  /** Takes the next character, which must be one of these. */
  private char take(String expected) {
    char c = peek();
    if (expected.indexOf(c) < 0) throw new IllegalArgumentException(expected + " expected at " + at + " of " + text);
    at++;
    return c;
  }

  private Object value() {
    char c = peek();
    if (c == '{') return map();
    if (c == '[') return list();
    if (c == '"') return string();
    int from = at;
    while (at < text.length() && ",]} ".indexOf(text.charAt(at)) < 0) at++;
    String word = text.substring(from, at);
    return switch (word) {
      case "null" -> null;
      case "true" -> true;
      case "false" -> false;
      default -> Long.valueOf(word);
    };
  }

  private Map<String, Object> map() {
    Map<String, Object> out = new LinkedHashMap<>();
    take("{");
    if (peek() == '}') {
      at++;
      return out;
    }
    do {
      String key = string();
      take(":");
      out.put(key, value());
    } while (take(",}") == ',');
    return out;
  }

  private List<Object> list() {
    List<Object> out = new ArrayList<>();
    take("[");
    if (peek() == ']') {
      at++;
      return out;
    }
    do {
      out.add(value());
    } while (take(",]") == ',');
    return out;
  }

  private String string() {
    take("\"");
    StringBuilder out = new StringBuilder();
    for (char c; (c = text.charAt(at++)) != '"'; ) {
      if (c == '\\') {
        c = text.charAt(at++);
        if (c == 'u') {
          c = (char) Integer.parseInt(text.substring(at, at + 4), 16);
          at += 4;
        } else if (c == 'n') {
          c = '\n';
        }
      }
      out.append(c);
    }
    return out.toString();
  }
}
