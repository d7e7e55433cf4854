package golden;

import java.lang.reflect.Field;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Random;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.RawTaggedField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.record.internal.BaseRecords;
import org.apache.kafka.common.record.internal.MemoryRecords;

/** Random values for the fields that a version has; the others keep their default. */
final class Filler {
    private static final String[] LETTERS = {"a", "Z", "0", "-", ".", " ", "\"", "\\", "\u00e9", "\u20ac"};
    private final Random random;
    private final boolean unknownTags;

    Filler(Random random, boolean unknownTags) {
        this.random = random;
        this.unknownTags = unknownTags;
    }

    void fill(Message message, Schema schema) throws Exception {
        boolean flexible = false;
        for (BoundField bound : schema.fields()) {
            if (bound.def.type instanceof TaggedFields tagged) {
                flexible = true;
                for (org.apache.kafka.common.protocol.types.Field field : tagged.fields().values()) {
                    if (random.nextInt(3) != 0) {
                        set(message, field);
                    }
                }
            } else {
                set(message, bound.def);
            }
        }
        if (unknownTags && flexible && random.nextBoolean()) {
            message.unknownTaggedFields().add(new RawTaggedField(100 + random.nextInt(100000), new byte[random.nextInt(5)]));
        }
    }

    private void set(Message message, org.apache.kafka.common.protocol.types.Field field) throws Exception {
        Field target = Text.field(message.getClass(), field.name);
        target.set(message, value(target.getGenericType(), field.type));
    }

    private Object value(Type type, org.apache.kafka.common.protocol.types.Type wire) throws Exception {
        if (wire.isNullable() && random.nextInt(4) == 0) {
            return null;
        }
        if (wire.arrayElementType().isPresent()) {
            return list(type, wire.arrayElementType().get());
        }
        Class<?> raw = (Class<?>) type;
        if (raw == boolean.class) return random.nextBoolean();
        if (raw == byte.class) return (byte) number(8);
        if (raw == short.class) return (short) number(16);
        if (raw == int.class) return wire.toString().contains("UINT16") ? (int) number(32) & 0xffff : (int) number(32);
        if (raw == long.class) return number(64);
        if (raw == double.class) return random.nextGaussian();
        if (raw == String.class) return text();
        if (raw == Uuid.class) return random.nextInt(4) == 0 ? Uuid.ZERO_UUID : new Uuid(random.nextLong(), random.nextLong());
        if (raw == byte[].class) return bytes();
        if (raw == ByteBuffer.class) return ByteBuffer.wrap(bytes());
        if (raw == BaseRecords.class) return MemoryRecords.readableRecords(ByteBuffer.wrap(bytes()));
        Message nested = (Message) raw.getDeclaredConstructor().newInstance();
        fill(nested, (Schema) wire);
        return nested;
    }

    @SuppressWarnings("unchecked")
    private Object list(Type type, org.apache.kafka.common.protocol.types.Type element) throws Exception {
        Collection<Object> items;
        Type item;
        if (type instanceof ParameterizedType list) {
            items = new ArrayList<>();
            item = list.getActualTypeArguments()[0];
        } else {  // a generated collection with keys
            items = (Collection<Object>) ((Class<?>) type).getDeclaredConstructor().newInstance();
            item = ((ParameterizedType) ((Class<?>) type).getGenericSuperclass()).getActualTypeArguments()[0];
        }
        int n = random.nextInt(4);
        for (int i = 0; i < n; i++) {
            items.add(value(unboxed(item), element));
        }
        return items;
    }

    private static Type unboxed(Type type) {
        if (type == Integer.class) return int.class;
        if (type == Short.class) return short.class;
        if (type == Byte.class) return byte.class;
        if (type == Long.class) return long.class;
        if (type == Boolean.class) return boolean.class;
        if (type == Double.class) return double.class;
        return type;
    }

    private long number(int bits) {
        return switch (random.nextInt(6)) {
            case 0 -> -1L >>> (65 - bits);
            case 1 -> 1L << (bits - 1);
            case 2 -> -1;
            default -> random.nextLong() >> random.nextInt(64);
        };
    }

    private String text() {
        StringBuilder to = new StringBuilder();
        int n = random.nextInt(16) == 0 ? 140 : random.nextInt(10);
        for (int i = 0; i < n; i++) {
            to.append(LETTERS[random.nextInt(LETTERS.length)]);
        }
        return to.toString();
    }

    private byte[] bytes() {
        byte[] bytes = new byte[random.nextInt(16) == 0 ? 300 : random.nextInt(24)];
        random.nextBytes(bytes);
        return bytes;
    }
}
