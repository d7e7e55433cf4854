package golden;

import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.utils.ImplicitLinkedHashCollection;

/** {a=1,b="text",c=[0x00ff],d=null}: every field in the class's order, also those that the version lacks. */
final class Text {
    static String of(Object message) throws Exception {
        StringBuilder to = new StringBuilder();
        value(to, message);
        return to.toString();
    }

    static Field field(Class<?> type, String snake) {
        for (Field field : fields(type)) {
            if (snake(field.getName()).equals(snake)) {
                return field;
            }
        }
        throw new IllegalArgumentException(type + " has no " + snake);
    }

    /** The fields that some version has, in the class's order; not those kept only for versions that are gone. */
    private static List<Field> fields(Class<?> type) {
        boolean element = ImplicitLinkedHashCollection.Element.class.isAssignableFrom(type);
        Set<String> alive = aliveFields(type);
        List<Field> fields = new ArrayList<>();
        for (Field field : type.getDeclaredFields()) {
            String name = field.getName();
            boolean link = element && (name.equals("next") || name.equals("prev"));
            if (!Modifier.isStatic(field.getModifiers()) && !link && alive.contains(snake(name))) {
                field.setAccessible(true);
                fields.add(field);
            }
        }
        return fields;
    }

    private static Set<String> aliveFields(Class<?> type) {
        Set<String> names = new HashSet<>();
        try {
            for (Schema schema : (Schema[]) type.getField("SCHEMAS").get(null)) {
                for (BoundField bound : schema == null ? new BoundField[0] : schema.fields()) {
                    if (bound.def.type instanceof TaggedFields tagged) {
                        tagged.fields().values().forEach(f -> names.add(f.name));
                    } else {
                        names.add(bound.def.name);
                    }
                }
            }
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
        return names;
    }

    static String snake(String name) {
        return name.replaceAll("([a-z0-9])([A-Z])", "$1_$2").toLowerCase();
    }

    static void hex(StringBuilder to, byte[] bytes) {
        to.append("0x").append(HexFormat.of().formatHex(bytes));
    }

    static byte[] bytesOf(ByteBuffer buffer) {
        ByteBuffer copy = buffer.duplicate();
        byte[] bytes = new byte[copy.remaining()];
        copy.get(bytes);
        return bytes;
    }

    static void string(StringBuilder to, String text) {
        to.append('"');
        for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
            if (b >= 0x20 && b < 0x7f && b != '"' && b != '\\') {
                to.append((char) b);
            } else {
                to.append(String.format("\\x%02x", b & 0xff));
            }
        }
        to.append('"');
    }

    private static void value(StringBuilder to, Object value) throws Exception {
        if (value == null) {
            to.append("null");
        } else if (value instanceof String text) {
            string(to, text);
        } else if (value instanceof Double number) {
            to.append(String.format("%016x", Double.doubleToRawLongBits(number)));
        } else if (value instanceof byte[] bytes) {
            hex(to, bytes);
        } else if (value instanceof ByteBuffer buffer) {
            hex(to, bytesOf(buffer));
        } else if (value instanceof MemoryRecords records) {
            hex(to, bytesOf(records.buffer()));
        } else if (value instanceof Collection<?> items) {
            to.append('[');
            String comma = "";
            for (Object item : items) {
                to.append(comma);
                comma = ",";
                value(to, item);
            }
            to.append(']');
        } else if (value instanceof Message) {
            to.append('{');
            String comma = "";
            for (Field field : fields(value.getClass())) {
                to.append(comma).append(snake(field.getName())).append('=');
                comma = ",";
                value(to, field.get(value));
            }
            to.append('}');
        } else {
            to.append(value);  // numbers, booleans, Uuid
        }
    }
}
